"""The compiled core: the one thing that pyproject.toml cannot say.

``TIERWAY_CORE_DEBUG=1`` compiles it with bounds and None checks and with symbols, for tests that hunt memory errors.
``TIERWAY_CORE_PREBUILT=1`` leaves it out: `make` has built it in place already.
"""

import os
from pathlib import Path

from setuptools import Extension, setup

_ROOT = Path(__file__).resolve().parent
_SOURCES = "router_core/tierway_core"


def _debug() -> bool:
    return os.environ.get("TIERWAY_CORE_DEBUG", "0") not in ("", "0")


def core_directives(*, debug: bool) -> dict[str, object]:
    """Cython's directives for the whole core, stated here and in no header: a header would defeat the debug build."""
    return {
        "language_level": 3,
        "boundscheck": debug,
        "wraparound": False,  # the core never indexes from the end
        "initializedcheck": debug,
        "nonecheck": debug,
        "cdivision": True,  # in both flavours: the two must agree on negative numbers
        "embedsignature": True,
    }


def core_extensions(*, annotate: bool = False) -> list[Extension]:
    """One extension module a `.pyx`. The C goes to `build/`, apart for each flavour, never beside the sources."""
    # Here, not at the top: an editable install of a prebuilt core needs no Cython.
    from Cython.Build import cythonize

    debug = _debug()
    flavour = "debug" if debug else "release"
    extensions = [
        Extension(
            ".".join(source.relative_to(_ROOT / "router_core").with_suffix("").parts),
            [str(source.relative_to(_ROOT))],
            # No fused multiply-add: the same text gets the same numbers on every machine.
            extra_compile_args=["-ffp-contract=off"]
            + (["-O0", "-g", "-UNDEBUG"] if debug else ["-O3", "-g0", "-fno-plt", "-fvisibility=hidden"]),
        )
        for source in sorted((_ROOT / _SOURCES).rglob("*.pyx"))
    ]
    built: list[Extension] = cythonize(  # type: ignore[no-untyped-call]
        extensions,
        build_dir="build/annotate" if annotate else f"build/core/{flavour}/c",
        compiler_directives=core_directives(debug=debug),
        include_path=["router_core"],
        annotate=annotate,
        force=annotate,
        quiet=True,
    )
    return built


if __name__ == "__main__":
    prebuilt = os.environ.get("TIERWAY_CORE_PREBUILT", "0") not in ("", "0")
    setup(ext_modules=[] if prebuilt else core_extensions())
