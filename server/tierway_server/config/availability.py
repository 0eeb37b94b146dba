"""Why a deployment cannot answer, as far as it can be told before anything is started."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec

from tierway_server.config.engines import EngineConfig
from tierway_server.config.model import Config
from tierway_server.config.models import DeploymentConfig
from tierway_server.config.providers import ProviderConfig
from tierway_server.config.references import ReferenceUnresolvedError, expand_path, resolve_weights
from tierway_server.config.secrets import Secrets

_GRPC_PACKAGES = ("smg_grpc_proto", "tokenizers", "jinja2")


def unavailable_reason(
    config: Config, deployment: DeploymentConfig, environ: Mapping[str, str], secrets: Secrets
) -> str:
    """Return why `deployment` cannot answer, in one line for a person, or nothing if all that it needs is there.

    An engine's weights and a provider's credential are looked for; servers are not asked: those that ask for no credential are
    watched while the process runs.
    """
    engine = config.engines.get(deployment.engine or "")
    if engine is not None:
        return "" if engine.is_embedded else _missing_weights(engine, environ)
    provider = config.providers[deployment.provider or ""]
    return _missing_credential(provider, secrets) or _missing_parts(provider, environ)


def _missing_weights(engine: EngineConfig, environ: Mapping[str, str]) -> str:
    try:
        resolve_weights(engine.model, environ)
    except ReferenceUnresolvedError as error:
        return f"no weights: {error}"
    return ""


def _missing_credential(provider: ProviderConfig, secrets: Secrets) -> str:
    if provider.api_key is None:
        return "no credential: the provider states no api_key" if provider.needs_key else ""
    try:
        secrets.key(provider.api_key)
    except ReferenceUnresolvedError as error:
        return f"no credential: {error}"
    return ""


def _missing_parts(provider: ProviderConfig, environ: Mapping[str, str]) -> str:
    if provider.kind != "vllm_grpc":
        return ""
    for package in _GRPC_PACKAGES:
        if not _is_there(package):
            return f'needs the package {package}: pip install "tierway[vllm-grpc]"'
    try:
        if provider.tokenizer is not None:
            expand_path(provider.tokenizer, environ)
    except ReferenceUnresolvedError as error:
        return f"no tokenizer: {error}"
    return ""


def _is_there(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ValueError:  # said to be missing, by whoever put None in its place
        return False
