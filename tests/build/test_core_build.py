"""When the core is compiled again. The compiler is not run here: a script stands in for setup.py."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import core_build
import pytest
from core_build import CoreBuild
from progress import SetUpError

_FAKE_SETUP = """
import pathlib, sys, sysconfig
suffix = sysconfig.get_config_var("EXT_SUFFIX")
lib = pathlib.Path(next(a.partition("=")[2] for a in sys.argv if a.startswith("--build-lib="))) / "tierway_core"
lib.mkdir(parents=True, exist_ok=True)
package = pathlib.Path("router_core/tierway_core")
for source in package.rglob("*.pyx"):
    module = lib / source.relative_to(package).with_name(source.stem + suffix)
    module.parent.mkdir(exist_ok=True)
    module.write_text(source.read_text())
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    package = tmp_path / "router_core" / "tierway_core"
    (package / "strategies").mkdir(parents=True)
    (package / "strategies" / "_cheapest.pyx").write_text("three")
    (package / "_features.pyx").write_text("one")
    (package / "_features.pxd").write_text("declarations")
    (package / "_select.pyx").write_text("two")
    (tmp_path / "setup.py").write_text(_FAKE_SETUP)
    return tmp_path


def _core(checkout: Path, *, debug: bool = False) -> CoreBuild:
    # Standard error stands in for the lock's descriptor.
    return CoreBuild(checkout, debug=debug, lock_fd=2)


def _built(checkout: Path) -> CoreBuild:
    core = _core(checkout)
    core.build(Path(sys.executable))
    return core


def _touch(path: Path, *, newer_than: Path) -> None:
    later_ns = newer_than.stat().st_mtime_ns + 1_000_000
    os.utime(path, ns=(later_ns, later_ns))


def _module(checkout: Path, name: str) -> Path:
    (module,) = (checkout / "router_core" / "tierway_core").glob(f"{name}.*.so")
    return module


def test_failed_compilation_says_so_and_stays_stale(checkout: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (checkout / "setup.py").write_text("raise SystemExit('_select.pyx:7:3: no such thing')")
    core = _core(checkout)
    with pytest.raises(SetUpError, match=r"core failed \(status 1\)"):
        core.build(Path(sys.executable))
    assert "_select.pyx:7:3: no such thing" in capfd.readouterr().err
    assert core.is_stale()


def test_failed_compilation_leaves_the_modules_of_the_last_one(checkout: Path) -> None:
    core = _built(checkout)
    (checkout / "setup.py").write_text("raise SystemExit(1)")
    with pytest.raises(SetUpError):
        core.build(Path(sys.executable))
    assert _module(checkout, "_select").read_text() == "two"


def test_what_a_killed_compiler_wrote_is_not_trusted(checkout: Path) -> None:
    core = _core(checkout)
    truncated = checkout / "build" / "core" / "release" / "c" / "_select.c"
    (checkout / "setup.py").write_text(
        "import os, pathlib, signal\n"
        f"path = pathlib.Path({str(truncated)!r})\n"
        "path.parent.mkdir(parents=True)\n"
        "path.write_text('int ma')\n"
        "os.kill(os.getppid(), signal.SIGKILL)\n"
    )
    build = f"from core_build import CoreBuild; from pathlib import Path; CoreBuild(Path({str(checkout)!r}), debug=False, lock_fd=2)"
    environ = {**os.environ, "PYTHONPATH": str(Path(core_build.__file__).parent)}
    command = [sys.executable, "-c", f"{build}.build(Path({sys.executable!r}))"]
    assert subprocess.run(command, env=environ, check=False).returncode == -signal.SIGKILL
    assert truncated.exists()
    assert core.is_stale()
    (checkout / "setup.py").write_text(_FAKE_SETUP)
    core.build(Path(sys.executable))
    assert not truncated.exists()
    assert not core.is_stale()


def test_fresh_checkout_is_stale(checkout: Path) -> None:
    assert _core(checkout).is_stale()


def test_built_core_is_current(checkout: Path) -> None:
    assert not _built(checkout).is_stale()


@pytest.mark.parametrize(
    "source",
    [
        "router_core/tierway_core/_features.pyx",
        "router_core/tierway_core/_features.pxd",
        "router_core/tierway_core/strategies/_cheapest.pyx",
        "setup.py",
    ],
)
def test_newer_source_makes_it_stale_and_a_build_current(checkout: Path, source: str) -> None:
    core = _built(checkout)
    _touch(checkout / source, newer_than=_module(checkout, "_select"))
    assert core.is_stale()
    for module in (checkout / "router_core" / "tierway_core").glob("*.so"):
        _touch(checkout / source, newer_than=module)
    past_ns = _module(checkout, "_select").stat().st_mtime_ns - 1_000_000
    os.utime(checkout / source, ns=(past_ns, past_ns))
    assert not core.is_stale()


def test_missing_module_makes_it_stale(checkout: Path) -> None:
    core = _built(checkout)
    _module(checkout, "_select").unlink()
    assert core.is_stale()


def test_other_flavour_makes_it_stale(checkout: Path) -> None:
    _built(checkout)
    assert _core(checkout, debug=True).is_stale()


def test_build_replaces_modules_and_never_writes_into_them(checkout: Path) -> None:
    core = _built(checkout)
    module = _module(checkout, "_select")
    with module.open() as held_by_a_running_process:
        (checkout / "router_core" / "tierway_core" / "_select.pyx").write_text("three")
        core.build(Path(sys.executable))
        assert held_by_a_running_process.read() == "two"
    assert module.read_text() == "three"
    assert not list(module.parent.glob(".*.partial"))
