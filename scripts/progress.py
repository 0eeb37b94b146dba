"""Long commands of the set-up: their output goes to a log, a line now and then to the terminal, the log's end too when they fail."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_REPORT_EVERY_S = 10.0
_FAILURE_LINES = 40


class SetUpError(Exception):
    """The set-up cannot go on; the message is one line for the person who typed `make`."""


def say(step: str, message: str) -> None:
    """One line of progress, on standard error: standard output belongs to the command that follows."""
    print(f"tierway: {step}: {message}", file=sys.stderr, flush=True)


def run(
    step: str,
    command: Sequence[str | Path],
    *,
    cwd: Path,
    log: Path,
    inherit_fd: int,
    environ: Mapping[str, str] | None = None,
    describe: Callable[[str], str] = lambda _: "working",
) -> str:
    """Run `command` to its end and return its output.

    Args:
        inherit_fd: the descriptor of the set-up's lock. The command holds it too: should it outlive this process (killed where
            there is no `setpriv`), the next set-up waits for the orphan instead of working against it.
        environ: variables added to this process's own.
        describe: turns the output so far into the words of a progress line.

    Raises:
        SetUpError: the command failed; the end of its output has been shown.

    """
    log.parent.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*_dies_with_us(), *command], cwd=cwd, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            env={**os.environ, **(environ or {})}, pass_fds=(inherit_fd,), start_new_session=True,
        )  # fmt: skip
        try:
            while True:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    status = process.wait(timeout=_REPORT_EVERY_S)
                    break
                say(step, f"{describe(_text(log))} ({time.monotonic() - begun:.0f} s)")
        except KeyboardInterrupt:
            os.killpg(process.pid, signal.SIGTERM)  # with what it has started itself
            process.wait()
            raise
    if status != 0:
        sys.stderr.write("".join(f"    {line}\n" for line in _text(log).splitlines()[-_FAILURE_LINES:]))
        raise SetUpError(f"{step} failed (status {status}); the whole log: {log}")
    say(step, f"done in {time.monotonic() - begun:.0f} s")
    return _text(log)


def describe_pip(output: str) -> str:
    """What pip is at, from the lines it has printed."""
    if "Installing collected packages" in output:
        return "installing"
    return f"{output.count('Collecting ') + output.count('Processing ')} packages found"


def _dies_with_us() -> list[str]:
    setpriv = shutil.which("setpriv")  # util-linux, as flock is
    return [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []


def _text(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")
