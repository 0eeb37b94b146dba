"""What must not be beside torch's CPU build."""

import importlib.machinery
import importlib.metadata
import importlib.util
from pathlib import Path

import check_environment
import pytest


@pytest.mark.parametrize("name", ["torchvision", "torchaudio", "torchcodec"])
def test_cuda_companion_of_torch_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def version(asked: str) -> str:
        if asked == name:
            return "9.9"
        raise importlib.metadata.PackageNotFoundError(asked)

    monkeypatch.setattr(importlib.metadata, "version", version)
    assert check_environment.problems() == [
        f"{name} 9.9 is installed and breaks vLLM's CPU build: remove it (pip uninstall {name})"
    ]


def test_cuda_build_of_torch_is_told_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "version.py").write_text("cuda = '12.9'\n")
    spec = importlib.machinery.ModuleSpec("torch", None, origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    (problem,) = check_environment.problems()
    assert "torch is built for CUDA 12.9: set TORCH_INDEX_URL" in problem


def test_this_environment_is_fit() -> None:
    assert check_environment.problems() == []
