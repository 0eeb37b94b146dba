"""The core imports the standard library and itself, in its Python and in its Cython: import-linter reads no .pyx."""

import re
import sys
from pathlib import Path

_IMPORT = re.compile(r"^\s*(?:from\s+(?P<source>[\w.]+)\s+c?import|c?import\s+(?P<module>[\w.]+))", re.MULTILINE)
_COMPILE_TIME = {"cython", "libc", "cpython"}
"""Resolved by Cython while it compiles; nothing of them is imported at run time."""


def test_core_imports_the_standard_library_only(root: Path) -> None:
    package = root / "router_core" / "tierway_core"
    sources = [path for suffix in ("py", "pyx", "pxd") for path in package.rglob(f"*.{suffix}")]
    assert sources
    allowed = {*sys.stdlib_module_names, *_COMPILE_TIME, "tierway_core"}
    foreign = {
        f"{path.name}: {name}"
        for path in sources
        for match in _IMPORT.finditer(path.read_text(encoding="utf-8"))
        for name in [match["source"] or match["module"]]
        if not name.startswith(".") and name.partition(".")[0] not in allowed
    }
    assert foreign == set()
