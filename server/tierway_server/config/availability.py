"""Why a deployment cannot answer, as far as it can be told before anything is started."""

from __future__ import annotations

from collections.abc import Mapping

from tierway_server.config.engines import EngineConfig
from tierway_server.config.model import Config
from tierway_server.config.models import DeploymentConfig
from tierway_server.config.providers import ProviderConfig
from tierway_server.config.references import ReferenceUnresolvedError, resolve_secret, resolve_weights


def unavailable_reason(config: Config, deployment: DeploymentConfig, environ: Mapping[str, str]) -> str:
    """Return why `deployment` cannot answer, in one line for a person, or nothing if all that it needs is there.

    An engine's weights and a provider's credential are looked for; servers are not asked: those that ask for no credential are
    watched while the process runs.
    """
    engine = config.engines.get(deployment.engine or "")
    if engine is not None:
        return "" if engine.is_embedded else _missing_weights(engine, environ)
    return _missing_credential(config.providers[deployment.provider or ""], environ)


def _missing_weights(engine: EngineConfig, environ: Mapping[str, str]) -> str:
    try:
        resolve_weights(engine.model, environ)
    except ReferenceUnresolvedError as error:
        return f"no weights: {error}"
    return ""


def _missing_credential(provider: ProviderConfig, environ: Mapping[str, str]) -> str:
    if provider.api_key is None:
        return "no credential: the provider states no api_key" if provider.needs_key else ""
    try:
        resolve_secret(provider.api_key, environ)
    except ReferenceUnresolvedError as error:
        return f"no credential: {error}"
    return ""
