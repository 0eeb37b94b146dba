"""All tests, in two processes side by side: those that start real engines, which mostly wait for their parts, and the others.

With arguments it is pytest with these. Ctrl-C reaches both, and both take down what they have started.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

_REAL_ENGINES = ("tests/e2e", "tests/peers")


def main(arguments: Sequence[str], root: Path) -> int:
    """Run the tests of the checkout at `root`, and return the exit code: 0, or pytest's for the first half that failed."""
    pytest = [sys.executable, "-m", "pytest"]
    if arguments:
        return subprocess.run([*pytest, *arguments], cwd=root, check=False).returncode
    log = root / "build" / "e2e.log"
    log.parent.mkdir(exist_ok=True)
    # Each notes its failures in a cache of its own.
    engines_command = [*pytest, *_REAL_ENGINES, "-o", "cache_dir=.pytest_cache/e2e"]
    with log.open("wb") as output:
        engines = subprocess.Popen(engines_command, cwd=root, stdout=output, stderr=subprocess.STDOUT)
        others = subprocess.Popen([*pytest, *(f"--ignore={folder}" for folder in _REAL_ENGINES)], cwd=root)
        codes = [_ended(others), _ended(engines)]
    print(log.read_text(errors="replace"), flush=True)
    return next((code for code in codes if code), 0)


def _ended(process: subprocess.Popen[bytes]) -> int:
    while True:
        with contextlib.suppress(KeyboardInterrupt):  # it has got it too
            return process.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], Path(__file__).resolve().parents[1]))
