"""Typed configuration: one loader, file -> environment -> flags, everything checked before anything starts.

Knows neither grpc nor vllm. Values go from `app.py` to whom they concern; nothing below it reads the configuration itself.
"""

from tierway_server.config.address import Address, parse_address
from tierway_server.config.answering import HedgingConfig, RetriesConfig
from tierway_server.config.availability import unavailable_reason
from tierway_server.config.cache import CacheConfig
from tierway_server.config.classifier import calibration_path, load_weights
from tierway_server.config.engines import EMBEDDED, EngineConfig, RestartConfig
from tierway_server.config.escalation import EscalationConfig
from tierway_server.config.loader import default_path, load, parse, redacted
from tierway_server.config.model import Config
from tierway_server.config.models import ENGINE_PROVIDER, DeploymentConfig, ModelConfig
from tierway_server.config.price import PriceConfig
from tierway_server.config.problems import ConfigError, Problem
from tierway_server.config.provider_kinds import PREFILL, FeatureName
from tierway_server.config.providers import ProviderConfig
from tierway_server.config.queue import QueueConfig
from tierway_server.config.references import ReferenceUnresolvedError, expand_path, resolve_weights
from tierway_server.config.routing import (
    ClassifierConfig,
    ExpectedOutputConfig,
    FloorsConfig,
    GovernanceConfig,
    RoutingConfig,
)
from tierway_server.config.schema import json_schema
from tierway_server.config.secrets import Secrets, VaultAnswer
from tierway_server.config.server import ConstitutionConfig, LimitsConfig, ServerConfig
from tierway_server.config.shared_state import SharedStateConfig
from tierway_server.config.table import build_table, chains

__all__ = [
    "EMBEDDED",
    "ENGINE_PROVIDER",
    "PREFILL",
    "Address",
    "CacheConfig",
    "ClassifierConfig",
    "Config",
    "ConfigError",
    "ConstitutionConfig",
    "DeploymentConfig",
    "EngineConfig",
    "EscalationConfig",
    "ExpectedOutputConfig",
    "FeatureName",
    "FloorsConfig",
    "GovernanceConfig",
    "HedgingConfig",
    "LimitsConfig",
    "ModelConfig",
    "PriceConfig",
    "Problem",
    "ProviderConfig",
    "QueueConfig",
    "ReferenceUnresolvedError",
    "RestartConfig",
    "RetriesConfig",
    "RoutingConfig",
    "Secrets",
    "ServerConfig",
    "SharedStateConfig",
    "VaultAnswer",
    "build_table",
    "calibration_path",
    "chains",
    "default_path",
    "expand_path",
    "json_schema",
    "load",
    "load_weights",
    "parse",
    "parse_address",
    "redacted",
    "resolve_weights",
    "unavailable_reason",
]
