"""A virtual environment made of lock files: finished, or made anew, never repaired.

pip offers no transaction: an install that was killed leaves packages that look installed and are not. So each layer (a group of lock
files) has a stamp with the hash of its contents, written when it is complete. An environment with a layer begun and not finished, or
with a stamp that its lock files no longer match, is removed and made again; pip's cache makes that cheap.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from progress import describe_pip, run, say

_BEGUN = "begun"


class Environment:
    """One virtual environment. Whoever uses it holds the set-up's lock.

    Args:
        folder: where it is.
        layers: name of each layer -> its lock files.
        root: the checkout.
        lock_fd: the set-up's lock, which commands inherit.

    """

    def __init__(self, folder: Path, layers: Mapping[str, Sequence[Path]], *, root: Path, lock_fd: int) -> None:
        self.folder = folder
        self.python = folder / "bin" / "python"
        self._layers = layers
        self._root = root
        self._lock_fd = lock_fd
        self._stamps = folder / ".stamps"

    def discard_unless_sound(self) -> None:
        """Remove what an interrupted set-up, other lock files, another Python or another place left behind."""
        if not self.folder.exists():
            return
        stamps = {path.name: path.read_text() for path in self._stamps.glob("*")} if self._stamps.is_dir() else {}
        wrong = [name for name in self._layers if name in stamps and stamps[name] != self._key(name)]
        if stamps and not wrong:
            return
        why = (
            "an earlier set-up was interrupted" if not stamps or _BEGUN in stamps.values() else "its lock files changed"
        )
        say(self.folder.name, f"{why}, starting afresh")
        shutil.rmtree(self._stamps, ignore_errors=True)  # first: a half-removed environment must not look sound
        shutil.rmtree(self.folder)

    def install(self, layer: str, *, options: Sequence[str] = ()) -> bool:
        """Complete `layer`, creating the environment first; False if there was nothing to do."""
        locks = self._layers[layer]
        key = self._key(layer)
        if self.stamp(layer) == key:
            return False
        log = self._root / "build" / "log" / f"{self.folder.name}-{layer}.log"
        if not self.python.exists():
            say(layer, f"creating {self.folder.name}")
            run(
                layer,
                [sys.executable, "-m", "venv", str(self.folder)],
                cwd=self._root,
                log=log,
                inherit_fd=self._lock_fd,
            )
        self.set_stamp(layer, _BEGUN)
        pins = sum(lock.read_text().count("==") for lock in locks)
        say(layer, f"installing {pins} pinned packages into {self.folder.name}")
        requirements = [argument for lock in locks for argument in ("-r", str(lock))]
        self.pip(layer, "install", "--no-deps", *options, *requirements, log=log)
        return True

    def finish(self, layer: str) -> None:
        """Stamp `layer` as complete."""
        self.set_stamp(layer, self._key(layer))

    def pip(self, step: str, *arguments: str, log: Path, environ: Mapping[str, str] | None = None) -> None:
        """Run this environment's pip, without questions and advice."""
        quiet = {"PIP_NO_INPUT": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_PROGRESS_BAR": "off"}
        run(
            step,
            [str(self.python), "-m", "pip", *arguments],
            cwd=self._root,
            log=log,
            inherit_fd=self._lock_fd,
            environ={**quiet, **(environ or {})},
            describe=describe_pip,
        )

    def stamp(self, name: str) -> str:
        """The stamp `name`, empty if there is none."""
        path = self._stamps / name
        return path.read_text() if path.exists() else ""

    def set_stamp(self, name: str, content: str) -> None:
        """Write the stamp `name` whole or not at all."""
        self._stamps.mkdir(exist_ok=True)
        partial = self._stamps / f".{name}"
        partial.write_text(content)
        partial.replace(self._stamps / name)

    def _key(self, layer: str) -> str:
        return content_hash(self._layers[layer], sys.version, str(self.folder))


def content_hash(files: Sequence[Path], *words: str) -> str:
    """A hash of the files' names and contents and of `words`."""
    digest = hashlib.sha256("\0".join(words).encode())
    for file in files:
        digest.update(f"\0{file.name}\0".encode() + file.read_bytes())
    return digest.hexdigest()
