"""Says what must not be in a CPU environment, run by that environment's own Python. Exit status 1 if anything is.

The PyPI builds of torchvision, torchaudio and torchcodec are made for CUDA, and beside torch's CPU build they break the import of
transformers and vLLM. Text models need none of them.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import runpy
import sys
from pathlib import Path

_FORBIDDEN = ("torchvision", "torchaudio", "torchcodec")


def problems() -> list[str]:
    """What is wrong with this interpreter's environment, a line each."""
    found = []
    for name in _FORBIDDEN:
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        found.append(f"{name} {version} is installed and breaks vLLM's CPU build: remove it (pip uninstall {name})")
    torch = importlib.util.find_spec("torch")
    if torch is not None and torch.origin is not None:
        # The version file alone: importing torch takes seconds, and fails where CUDA's libraries are missing.
        cuda = runpy.run_path(str(Path(torch.origin).with_name("version.py"))).get("cuda")
        if cuda is not None:
            found.append(
                f"torch is built for CUDA {cuda}: set TORCH_INDEX_URL to PyTorch's index of CPU wheels and run make again"
            )
    return found


if __name__ == "__main__":
    for problem in (lines := problems()):
        print(f"tierway: {problem}", file=sys.stderr)
    sys.exit(bool(lines))
