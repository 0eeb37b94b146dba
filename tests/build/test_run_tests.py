"""Both halves of the tests run, and the failure of either is the failure of all."""

from pathlib import Path

import pytest
import run_tests

PASSES, FAILS = "def test_it(): pass\n", "def test_it(): raise AssertionError('as expected')\n"


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    for folder in ("e2e", "peers"):
        (tmp_path / "tests" / folder).mkdir(parents=True)
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --import-mode=importlib\n")
    return tmp_path


@pytest.mark.parametrize(
    ("with_engines", "others", "code"), [(PASSES, PASSES, 0), (FAILS, PASSES, 1), (PASSES, FAILS, 1)]
)
def test_either_failing_fails_and_both_are_shown(
    checkout: Path, capfd: pytest.CaptureFixture[str], with_engines: str, others: str, code: int
) -> None:
    (checkout / "tests" / "e2e" / "test_engines.py").write_text(with_engines)
    (checkout / "tests" / "test_others.py").write_text(others)
    assert run_tests.main([], checkout) == code
    printed = capfd.readouterr().out
    assert printed.count("test session starts") == 2
    assert printed.count("1 failed") == (code != 0)
    assert printed.count("1 passed") == 2 - (code != 0)


def test_arguments_are_pytests(checkout: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (checkout / "tests" / "e2e" / "test_engines.py").write_text(FAILS)
    (checkout / "tests" / "test_others.py").write_text(PASSES)
    assert run_tests.main(["tests/test_others.py"], checkout) == 0
    assert "1 passed" in capfd.readouterr().out
