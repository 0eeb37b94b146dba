"""The section `routing`: floors, pins and estimates, by which the core decides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, StringConstraints

from tierway_server.config.section import Items, Name, Score, Section, Tier

_Tokens = Annotated[int, Field(ge=1, le=1_000_000)]
_Term = Annotated[str, StringConstraints(min_length=1, max_length=128)]


class FloorsConfig(Section):
    """Lowest tier for each complexity class. Soft: with nothing there, the best tier below is used, and the reasons say so."""

    trivial: Tier = 1
    """Floor tier of a query under 10 words without code or planning."""

    simple: Tier = 2
    """Floor tier of a query of 10 to 50 words without code or planning."""

    moderate: Tier = 3
    """Floor tier of a query of 51 to 200 words, or with code, or with planning."""

    complex: Tier = 4
    """Floor tier of a query over 200 words, or with code and planning."""


class ExpectedOutputConfig(Section):
    """How long answers are expected to be, for cost estimates of requests that state no `max_tokens`."""

    trivial: _Tokens = 64
    """Tokens of an answer to a trivial query."""

    simple: _Tokens = 192
    """Tokens of an answer to a simple query."""

    moderate: _Tokens = 384
    """Tokens of an answer to a moderate query."""

    complex: _Tokens = 768
    """Tokens of an answer to a complex query."""


class GovernanceConfig(Section):
    """Queries about the constitution itself. A hard pin: with no model to satisfy it, the request is refused."""

    tier: Tier = 5
    """Lowest tier that may answer them."""

    terms: Items[_Term] = (
        "constitution",
        "constitutional",
        "constitutionality",
        "unconstitutional",
        "governance",
        "ai ethics",
        "regulatory compliance",
    )
    """Terms, of one to four words, by which they are known; upper and lower case are alike in ASCII."""


class RoutingConfig(Section):
    """How a request finds its tier."""

    floors: FloorsConfig = FloorsConfig()
    """Lowest tier for each complexity class."""

    accurate_tier: Tier = 4
    """Lowest tier that may answer a critical agent. A hard pin."""

    critical_agents: Items[Name] = (
        "waltzrl_feedback_agent",
        "waltzrl_conversation_agent",
        "se_darwin_agent",
        "builder_agent",
        "security_agent",
        "legal_agent",
        "architect_agent",
    )
    """Agents that always get the accurate tier."""

    governance: GovernanceConfig = GovernanceConfig()
    """Queries about the constitution itself."""

    task_types: Mapping[Name, Tier] = {}
    """Names that callers may state as `task_type`, each with the floor tier that it asks for."""

    expected_output_tokens: ExpectedOutputConfig = ExpectedOutputConfig()
    """How long answers are expected to be."""

    default_max_tokens: _Tokens = 512
    """Most tokens of an answer when the request states no `max_tokens`."""

    min_compliance: Score = 0.0
    """Lowest compliance score, 0 to 1, that may answer anything. Policy: nothing overrides it."""
