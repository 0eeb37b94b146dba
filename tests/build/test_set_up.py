"""The set-up as a command: two at once, one that was killed, what it says about mistakes."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import set_up


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "requirements").mkdir()
    return tmp_path


def test_unknown_step_is_named_with_the_known_ones(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert set_up.main(["instal"], checkout, {}) == 1
    assert "no step 'instal'; there are packages, dev, core, project, model, gen, peers" in capsys.readouterr().err


def test_second_set_up_waits_for_the_first(checkout: Path) -> None:
    path = checkout / ".set-up.lock"
    waiter = (
        "import pathlib, sys; sys.path.insert(0, sys.argv[1]); from set_up import lock\n"
        "with lock(pathlib.Path(sys.argv[2])): print('in')"
    )
    command = [sys.executable, "-c", waiter, str(Path(set_up.__file__).parent), str(path)]
    with set_up.lock(path):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        assert "another one is at work in this checkout, waiting for it" in process.stderr.readline()
        assert process.poll() is None
    out, _ = process.communicate(timeout=60)
    assert out == "in\n"


def test_killed_set_up_keeps_the_lock_while_its_command_lives(checkout: Path) -> None:
    """pip outlives a set-up that got SIGKILL: the next set-up must not work against it."""
    path = checkout / ".set-up.lock"
    reads_until_told, tell = os.pipe()
    with set_up.lock(path) as lock_fd:
        orphan = subprocess.Popen(
            [sys.executable, "-c", f"import os; os.read({reads_until_told}, 1)"], pass_fds=(lock_fd, reads_until_told)
        )
    # As the kernel does at a kill: the holder's descriptor is closed, the child's is not.
    probe = ["flock", "--nonblock", str(path), "true"]
    assert subprocess.run(probe, check=False).returncode == 1
    os.write(tell, b".")
    orphan.wait(timeout=60)
    assert subprocess.run(probe, check=False).returncode == 0
    os.close(tell)
    os.close(reads_until_told)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_command_ends_with_its_set_up(checkout: Path, how: signal.Signals) -> None:
    """An orphan would go on installing into an environment that the next set-up throws away."""
    os.mkfifo(checkout / "started")
    script = f"""
import signal, sys
from pathlib import Path
sys.path.insert(0, {str(Path(set_up.__file__).parent)!r})
import set_up
from progress import run
signal.signal(signal.SIGTERM, signal.default_int_handler)
root = Path({str(checkout)!r})
with set_up.lock(root / ".set-up.lock") as lock_fd:
    run("step", ["sh", "-c", "echo > started; exec sleep 600"], cwd=root, log=root / "log", inherit_fd=lock_fd)
"""
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL)
    (checkout / "started").read_text()  # returns once the command runs
    process.send_signal(how)
    process.wait(timeout=60)
    # Free as soon as nobody holds it, the command included.
    assert subprocess.run(["flock", "--timeout", "60", checkout / ".set-up.lock", "true"], check=False).returncode == 0


def test_peers_are_installed_apart_and_anew_when_their_lock_changes(checkout: Path) -> None:
    lock, peers = checkout / "requirements" / "peers.lock", checkout / "build" / "peers"
    lock.write_text("one==1\n")
    python = checkout / "venv" / "bin" / "python"  # its pip installs what it is asked to, and counts
    python.parent.mkdir(parents=True)
    python.write_text(
        '#!/bin/sh\nwhile [ "$1" != --target ]; do shift; done\nmkdir -p "$2"; cp "$4" "$2"; echo >> count\n'
    )
    python.chmod(0o755)

    def installs() -> int:
        assert set_up.main(["peers"], checkout, {"VENV": "venv"}) == 0
        return len((checkout / "count").read_text())

    assert installs() == 1
    assert installs() == 1
    (peers / "left-over").touch()
    lock.write_text("one==2\n")
    assert installs() == 2
    assert (peers / lock.name).read_text() == "one==2\n"
    assert not (peers / "left-over").exists()


def test_wrong_python_is_one_clear_line(root: Path, tmp_path: Path) -> None:
    old = tmp_path / "python3"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    environ = {**os.environ, "PYTHON": str(old)}
    found = subprocess.run([root / "scripts" / "find-python"], env=environ, capture_output=True, text=True, check=False)
    assert found.returncode == 1
    assert found.stdout == ""
    assert found.stderr.startswith(f"tierway: Python 3.11 is needed (tried: {old})")
    assert len(found.stderr.splitlines()) == 1


def test_missing_headers_are_one_clear_line(root: Path, tmp_path: Path) -> None:
    headless = tmp_path / "python3"
    headless.write_text('#!/bin/sh\ncase "$2" in *Python.h*) exit 1;; *) exit 0;; esac\n')
    headless.chmod(0o755)
    environ = {**os.environ, "PYTHON": str(headless)}
    found = subprocess.run([root / "scripts" / "find-python"], env=environ, capture_output=True, text=True, check=False)
    assert found.returncode == 1
    assert "has no headers (Python.h)" in found.stderr
    assert len(found.stderr.splitlines()) == 1
