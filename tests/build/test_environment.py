"""An environment made of lock files: what makes it sound, and what an interruption leaves. pip is not run here, a script stands in."""

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from environment import Environment
from progress import SetUpError

_FAKE_PIP = """#!{python}
import pathlib, sys
root = pathlib.Path({root!r})
with (root / "pip.log").open("a") as log:
    log.write(" ".join(sys.argv[1:]) + "\\n")
sys.exit(7 if (root / "pip-fails").exists() else 0)
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "cpu.lock").write_text("# comment\none==1\ntwo==2\n")
    (tmp_path / "dev.lock").write_text("three==3\n")
    return tmp_path


def _environment(checkout: Path) -> Environment:
    layers: dict[str, Sequence[Path]] = {"packages": [checkout / "cpu.lock"], "dev": [checkout / "dev.lock"]}
    return Environment(checkout / ".venv", layers, root=checkout, lock_fd=2)


def _with_python(checkout: Path) -> Environment:
    """An environment that `python -m venv` has been through, its Python a script that notes what pip is told."""
    environment = _environment(checkout)
    environment.python.parent.mkdir(parents=True, exist_ok=True)
    environment.python.write_text(_FAKE_PIP.format(python=sys.executable, root=str(checkout)))
    environment.python.chmod(0o755)
    return environment


def _complete(checkout: Path) -> Environment:
    environment = _with_python(checkout)
    for layer in ("packages", "dev"):
        assert environment.install(layer)
        environment.finish(layer)
    return environment


def test_environment_without_any_stamp_is_discarded(checkout: Path) -> None:
    environment = _with_python(checkout)
    environment.discard_unless_sound()
    assert not environment.folder.exists()


def test_interrupted_install_is_discarded_and_says_why(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    environment = _with_python(checkout)
    environment.install("packages")  # and no finish(): killed before
    _environment(checkout).discard_unless_sound()
    assert not environment.folder.exists()
    assert "interrupted, starting afresh" in capsys.readouterr().err


def test_interrupted_second_layer_is_discarded(checkout: Path) -> None:
    environment = _with_python(checkout)
    environment.install("packages")
    environment.finish("packages")
    environment.install("dev")
    _environment(checkout).discard_unless_sound()
    assert not environment.folder.exists()


def test_failed_install_is_reported_and_discarded_next_time(checkout: Path) -> None:
    (checkout / "pip-fails").touch()
    environment = _with_python(checkout)
    with pytest.raises(SetUpError, match=r"packages failed \(status 7\)"):
        environment.install("packages")
    environment.discard_unless_sound()
    assert not environment.folder.exists()


@pytest.mark.parametrize("lock", ["cpu.lock", "dev.lock"])
def test_changed_lock_file_discards_and_says_why(checkout: Path, lock: str, capsys: pytest.CaptureFixture[str]) -> None:
    environment = _complete(checkout)
    (checkout / lock).write_text("other==4\n")
    environment.discard_unless_sound()
    assert not environment.folder.exists()
    assert "lock files changed, starting afresh" in capsys.readouterr().err


def test_environment_copied_elsewhere_is_discarded(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    _complete(checkout)
    copy = tmp_path_factory.mktemp("copied") / "checkout"
    copy.parent.mkdir(exist_ok=True)
    checkout.rename(copy)
    environment = _environment(copy)
    environment.discard_unless_sound()
    assert not environment.folder.exists()


def test_half_removed_environment_does_not_look_sound(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = _complete(checkout)
    (checkout / "cpu.lock").write_text("other==4\n")

    def killed(path: Path, ignore_errors: bool = False) -> None:
        real_rmtree(path, ignore_errors=ignore_errors)
        raise KeyboardInterrupt

    import shutil

    real_rmtree = shutil.rmtree
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            environment.discard_unless_sound()
    assert environment.folder.exists()
    environment.discard_unless_sound()
    assert not environment.folder.exists()


def test_complete_environment_is_kept_and_not_installed_again(checkout: Path) -> None:
    environment = _complete(checkout)
    calls = (checkout / "pip.log").read_text()
    environment.discard_unless_sound()
    assert not environment.install("packages")
    assert not environment.install("dev")
    assert (checkout / "pip.log").read_text() == calls


def test_lock_files_are_installed_without_dependencies(checkout: Path) -> None:
    _complete(checkout)
    first, second = (checkout / "pip.log").read_text().splitlines()
    assert first == f"-m pip install --no-deps -r {checkout / 'cpu.lock'}"
    assert second == f"-m pip install --no-deps -r {checkout / 'dev.lock'}"
