"""The compiled core, built in place when a source is newer than a module.

Modules get to their place by renaming, so that no process ever imports, or runs from, a half-written one.
"""

from __future__ import annotations

import os
import shutil
import sysconfig
from pathlib import Path

from progress import SetUpError, run, say

_BEGUN = "begun"


class CoreBuild:
    """The extension modules of `router_core/tierway_core`.

    Args:
        root: the checkout.
        debug: with checks on; `python`'s environment must say so too (``TIERWAY_CORE_DEBUG=1``).
        lock_fd: the set-up's lock, which commands inherit.

    """

    def __init__(self, root: Path, *, debug: bool, lock_fd: int) -> None:
        self._root = root
        self._lock_fd = lock_fd
        self._flavour = "debug" if debug else "release"
        self._package = root / "router_core" / "tierway_core"
        self._log = root / "build" / "log" / "core.log"
        self._stamp = root / "build" / "core" / "flavour"
        suffix = sysconfig.get_config_var("EXT_SUFFIX")
        self._modules = [source.with_name(source.stem + suffix) for source in sorted(self._package.rglob("*.pyx"))]

    def is_stale(self) -> bool:
        """Whether a module is missing, older than any source, or of the other flavour."""
        if not self._modules:
            return False
        if not all(module.exists() for module in self._modules) or not self._stamp.exists():
            return True
        sources = [*self._package.rglob("*.pyx"), *self._package.rglob("*.pxd"), self._root / "setup.py"]
        newest_source_ns = max(source.stat().st_mtime_ns for source in sources)
        oldest_module_ns = min(module.stat().st_mtime_ns for module in self._modules)
        return oldest_module_ns < newest_source_ns or self._stamp.read_text() != self._flavour

    def build(self, python: Path) -> None:
        """Compile what changed with `python`, then put all modules in place."""
        say("core", f"compiling {len(self._modules)} modules ({self._flavour})")
        folder = self._root / "build" / "core" / self._flavour
        if self._stamp.exists() and self._stamp.read_text() == _BEGUN:
            shutil.rmtree(folder, ignore_errors=True)  # killed: half-written files look newer than their sources
        self._stamp.parent.mkdir(parents=True, exist_ok=True)
        self._stamp.write_text(_BEGUN)
        options = [f"--build-lib={folder / 'lib'}", f"--build-temp={folder / 'temp'}", f"--parallel={os.cpu_count()}"]
        command = [str(python), "setup.py", "build_ext", *options]
        try:
            run("core", command, cwd=self._root, log=self._log, inherit_fd=self._lock_fd)
        except SetUpError:
            self._stamp.unlink()  # the compiler ended by itself, so what it wrote is whole
            raise
        for module in self._modules:
            partial = module.with_name(f".{module.name}.partial")
            shutil.copyfile(folder / "lib" / module.relative_to(self._package.parent), partial)
            partial.chmod(0o755)
            partial.replace(module)
        self._stamp.write_text(self._flavour)
