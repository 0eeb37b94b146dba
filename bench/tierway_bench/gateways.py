"""Other projects' gateways before the mock provider, where they are installed; each is left out, in a line that says so, where not.

LiteLLM's proxy: ``pip install --target build/gateways/litellm 'litellm[proxy]'``. Portkey's: ``npm install --prefix build/gateways/portkey
@portkey-ai/gateway``. Both run in one process each, without a database, as Tierway does.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from tierway_bench.mock_provider import MODEL
from tierway_bench.processes import fetch, free_port, running, wait_until

FOLDER = Path("build/gateways")
_START_S = 120.0


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway that serves OpenAI's API."""

    name: str
    pid: int
    base_url: str
    headers: dict[str, str] = field(default_factory=dict)


@contextlib.contextmanager
def litellm(port: int, folder: Path) -> Iterator[Gateway | None]:
    """LiteLLM's proxy before the provider at `port`; None where it is not installed. `folder` takes its configuration and log."""
    site = FOLDER / "litellm"
    if not site.is_dir():
        yield None
        return
    model = {"model": f"openai/{MODEL}", "api_base": f"http://127.0.0.1:{port}/v1", "api_key": "none"}
    config = folder / "litellm.yaml"
    config.write_text(yaml.safe_dump({"model_list": [{"model_name": MODEL, "litellm_params": model}]}))
    own, key = free_port(), f"sk-{secrets.token_hex(16)}"
    command = ["-c", "from litellm import run_server; run_server()", f"--config={config}", f"--port={own}"]
    settings = {
        "PYTHONPATH": str(site.resolve()),
        "LITELLM_LOG": "ERROR",
        "LITELLM_MASTER_KEY": key,
        "NO_DOCS": "True",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }
    log = folder / "litellm.log"
    with running([*command, "--host=127.0.0.1"], log, stdout=subprocess.DEVNULL, environment=settings) as process:
        health = f"http://127.0.0.1:{own}/health/liveliness"
        wait_until(lambda: fetch(health)[0] == 200, process, log, within_s=_START_S)
        yield Gateway("LiteLLM", process.pid, f"http://127.0.0.1:{own}/v1", {"authorization": f"Bearer {key}"})


@contextlib.contextmanager
def portkey(port: int, folder: Path) -> Iterator[Gateway | None]:
    """Portkey's gateway before the provider at `port`; None where it is not installed. `folder` takes its log."""
    script = FOLDER / "portkey" / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"
    if not script.is_file():
        yield None
        return
    own = free_port()
    # `running` starts Python, which becomes node: its process id stays.
    command = ["-c", _BECOME, "node", str(script.resolve()), f"--port={own}", "--headless"]
    log = folder / "portkey.log"
    settings = {"NODE_ENV": "production", "PATH": os.environ["PATH"], "TRUSTED_CUSTOM_HOSTS": "127.0.0.1,localhost"}
    with running(command, log, stdout=subprocess.DEVNULL, environment=settings) as process:
        wait_until(lambda: fetch(f"http://127.0.0.1:{own}/")[0] == 200, process, log, within_s=_START_S)
        headers = {
            "x-portkey-provider": "openai",
            "x-portkey-custom-host": f"http://127.0.0.1:{port}/v1",
            "authorization": "Bearer none",
        }
        yield Gateway("Portkey", process.pid, f"http://127.0.0.1:{own}/v1", headers)


_BECOME = "import os, sys; os.execvp(sys.argv[1], sys.argv[1:])"
