"""Brings a checkout to the state that a `make` target needs: ``set_up.py STEP...``, steps in the order given.

Each step is skipped when its result is there and current, so a second run costs milliseconds. Only one set-up works in a checkout at
a time, others wait; one that was killed is finished by the next. Python's standard library only: nothing is installed yet.

Steps: packages (the CPU lock), dev (what checks and tests need), core (the compiled modules), project (`tierway` and `tierway-client`,
editable), model (the embedded model, in the cache folder), gen (the stub generator's own environment), peers (other projects' servers,
for tests and benchmarks, into `build/peers`).
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from core_build import CoreBuild
from environment import Environment, content_hash
from progress import SetUpError, say


class SetUp:
    """The steps, over one checkout. Constructed with the lock held.

    Args:
        root: the checkout.
        environ: TORCH_INDEX_URL (an index of torch's CPU wheels, where pip's own has none), TIERWAY_CORE_DEBUG, VENV (default `.venv`).
        lock_fd: the descriptor of the lock.

    """

    def __init__(self, root: Path, environ: Mapping[str, str], *, lock_fd: int) -> None:
        self._root = root
        self._environ = environ
        self._lock_fd = lock_fd
        locks = root / "requirements"
        layers = {"packages": [locks / "build.lock", locks / "cpu.lock"], "dev": [locks / "dev.lock"]}
        self._venv = Environment(root / environ.get("VENV", ".venv"), layers, root=root, lock_fd=lock_fd)
        self._generator = Environment(root / ".venv-gen", {"gen": [locks / "gen.lock"]}, root=root, lock_fd=lock_fd)
        self._core = CoreBuild(root, debug=environ.get("TIERWAY_CORE_DEBUG", "0") not in ("", "0"), lock_fd=lock_fd)

    def steps(self) -> dict[str, Callable[[], None]]:
        """Every step by its name."""
        return {
            step.__name__: step
            for step in (self.packages, self.dev, self.core, self.project, self.model, self.gen, self.peers)
        }

    def packages(self) -> None:
        """The packages of build.lock and cpu.lock."""
        self._venv.discard_unless_sound()
        index = self._environ.get("TORCH_INDEX_URL")
        if self._venv.install("packages", options=["--extra-index-url", index] if index else []):
            self._check()
            self._venv.finish("packages")

    def dev(self) -> None:
        """The packages of dev.lock."""
        if self._venv.install("dev"):
            self._venv.finish("dev")
        self._check()

    def core(self) -> None:
        """The compiled core, in place."""
        if self._core.is_stale():
            self._core.build(self._venv.python)

    def project(self) -> None:
        """Both distributions, editable; again when their metadata or list of packages changes."""
        client = self._root / "clients" / "python"
        metadata = [self._root / "pyproject.toml", self._root / "setup.py", client / "pyproject.toml"]
        key = content_hash(metadata, *self._packages())
        if self._venv.stamp("project") == key:
            return
        say("project", "installing tierway and tierway-client, editable")
        editable = ["install", "--no-deps", "--no-build-isolation", "-e", str(client), "-e", str(self._root)]
        log = self._root / "build" / "log" / "project.log"
        # The core has a step of its own; setuptools would compile it once more, into a temporary folder.
        self._venv.pip("project", *editable, log=log, environ={"TIERWAY_CORE_PREBUILT": "1"})
        self._venv.set_stamp("project", key)

    def model(self) -> None:
        """The embedded model in the cache folder: its module knows whether there is anything to do, and is safe to interrupt."""
        command = [str(self._venv.python), "-m", "tierway_server.backends.embedded_model"]
        if subprocess.run(command, stdout=subprocess.DEVNULL, pass_fds=(self._lock_fd,), check=False).returncode != 0:
            raise SetUpError("the embedded model could not be prepared")

    def gen(self) -> None:
        """The environment that generates stubs."""
        self._generator.discard_unless_sound()
        if self._generator.install("gen"):
            self._generator.finish("gen")

    def peers(self) -> None:
        """The packages of peers.lock, outside of the environment: one of them acts in every vLLM engine that could import it."""
        lock, folder = self._root / "requirements" / "peers.lock", self._root / "build" / "peers"
        stamp, key = folder / ".stamp", content_hash([lock], sys.version)
        if stamp.is_file() and stamp.read_text() == key:
            return
        say("peers", "installing other projects' servers into build/peers")
        shutil.rmtree(folder, ignore_errors=True)
        log = self._root / "build" / "log" / "peers.log"
        self._venv.pip("peers", "install", "--no-deps", "--target", str(folder), "-r", str(lock), log=log)
        stamp.write_text(key)

    def _check(self) -> None:
        command = [str(self._venv.python), str(self._root / "scripts" / "check_environment.py")]
        if subprocess.run(command, check=False).returncode != 0:
            raise SetUpError("the environment is not fit for vLLM on CPU")

    def _packages(self) -> list[str]:
        roots = ("router_core", "server", "bench", "clients/python")
        return sorted(
            str(path.parent.relative_to(self._root))
            for root in roots
            for path in (self._root / root).glob("*/__init__.py")
        )


@contextmanager
def lock(path: Path) -> Iterator[int]:
    """Hold the lock file `path`, waiting for whoever has it; yields its descriptor, which commands inherit."""
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("set-up", "another one is at work in this checkout, waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield file.fileno()


def main(names: Sequence[str], root: Path, environ: Mapping[str, str]) -> int:
    """Run the steps `names`; the exit status."""
    try:
        with lock(root / ".set-up.lock") as lock_fd:
            steps = SetUp(root, environ, lock_fd=lock_fd).steps()
            for name in names:
                if name not in steps:
                    raise SetUpError(f"no step {name!r}; there are {', '.join(steps)}")
                steps[name]()
    except SetUpError as error:
        say("set-up", str(error))
        return 1
    except KeyboardInterrupt:
        say("set-up", "interrupted; the next run finishes it")
        return 130
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # `make` passes it on: end the running command too
    sys.exit(main(sys.argv[1:], Path(__file__).resolve().parent.parent, os.environ))
