"""The section `routing`: floors, pins and estimates, by which the core decides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from tierway_server.config.references import check_variables
from tierway_server.config.section import Items, Name, Score, Seconds, Section, Tier
from tierway_server.config.steering import ExperimentConfig, RuleConfig

_Tokens = Annotated[int, Field(ge=1, le=1_000_000)]
_Path = Annotated[str, StringConstraints(min_length=1, max_length=4096), AfterValidator(check_variables)]
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


class ClassifierConfig(Section):
    """The learned classifier: what it works with, and how far it is trusted."""

    enabled: bool = True
    """Whether it decides. Without it the floor of the complexity class holds, and the cheapest model at or above it answers."""

    weights: _Path | None = None
    """File of its weights. `~` and `${NAME}` are expanded. Default: the shipped ones."""

    min_confidence: Score = 0.5
    """Confidence from which its assessment replaces the floors of the complexity classes, 0 to 1."""

    calibration: _Path | None = None
    """File that `tierway fit` wrote, for these weights. Loaded again when it changes, and on SIGHUP. Default: none."""

    calibration_check_s: Seconds = 5.0
    """How often, in seconds, the file is looked at for changes."""


class RoutingConfig(Section):
    """How a request finds its tier."""

    classifier: ClassifierConfig = ClassifierConfig()
    """How the difficulty of a query is judged."""

    cost_quality: Score = 0.5
    """The dial of requests that state none: from 0, the cheapest model, to 1, the best whatever it costs. Needs the classifier."""

    strategy: Name | None = None
    """How to choose among the models that may answer, for requests that state nothing else: `cheapest`, `cost_quality`, `lowest_latency`,
    `least_busy`, `usage_based`, `weighted` or `prefix_affinity`. Default: `cost_quality` with the classifier, `cheapest` without."""

    prefix_s: Annotated[float, Field(ge=0, le=86_400)] = 300.0
    """How long, in seconds, a deployment is taken to hold the beginning of a prompt that it was sent; 0: not at all."""

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

    agent_budgets: Mapping[Name, Name] = {}
    """Budget that the answers to an agent are paid from, beside its tenant's."""

    rules: Items[RuleConfig] = ()
    """How requests of a kind are steered: the first rule that matches holds."""

    experiments: Items[ExperimentConfig] = ()
    """What rules may try on some of their requests."""
