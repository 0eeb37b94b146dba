"""The command as a process: what it imports, and what Ctrl-C does."""

import os
import signal
import subprocess
import sys

from tests.client.scripted_router import STARTED, Hang, delta

RUN = "from tierway_cli.main import main; main()"


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def test_asking_imports_neither_engine_nor_server_nor_core(target) -> None:
    script = f"""
import sys
from tierway_cli.main import cli
cli(["ask", "hi", "--target", {target!r}], standalone_mode=False)
heavy = ("vllm", "torch", "pydantic", "yaml", "tierway_server", "tierway_core")
sys.exit(",".join(name for name in heavy if name in sys.modules) or 0)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "The capital of France is Paris.\n"), done.stderr


def test_scoring_imports_the_core_alone(tmp_path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"id": 1, "prompt": "What is 2 + 2?"}\n')
    script = f"""
import sys
from tierway_cli.main import cli
cli(["score", {str(rows)!r}], standalone_mode=False)
heavy = ("vllm", "torch", "numpy", "pydantic", "yaml", "tierway_server", "tierway_learn")
sys.exit(",".join(name for name in heavy if name in sys.modules) or 0)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout[:8]) == (0, '{"id": 1'), done.stderr


def interrupt(router, method: str, hang: Hang, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Runs the command until the server hangs in it, sends SIGINT, and returns what it left."""
    router.script(method, hang)
    with subprocess.Popen(
        [sys.executable, "-c", RUN, *arguments],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
    ) as process:
        try:
            assert hang.began.wait(60)
            if hang.first:
                assert process.stdout.read(1) == b"P"
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    return subprocess.CompletedProcess(arguments, process.returncode, out, err)


def test_interrupted_stream_is_cancelled_at_the_server(router, target) -> None:
    hang = Hang(first=[STARTED, delta("Paris")])
    done = interrupt(router, "Stream", hang, "ask", "hi", "--target", target)
    assert hang.ended.wait(20)
    assert (done.returncode, done.stdout) == (130, b"aris\n")
    assert b"Traceback" not in done.stderr


def test_interrupted_call_is_cancelled_at_the_server(router, target) -> None:
    hang = Hang()
    done = interrupt(router, "Route", hang, "route", "hi", "--target", target)
    assert hang.ended.wait(20)
    assert done.returncode == 130
    assert b"Traceback" not in done.stderr
