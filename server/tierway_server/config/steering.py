"""The lists `routing.rules` and `routing.experiments`: how requests of a kind are steered, and what is tried on some of them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from tierway_server.config.policy import tiers_in_order
from tierway_server.config.section import Items, Name, Score, Section, Tier


class RuleConfig(Section):
    """How requests of a kind are steered. The first rule whose conditions all hold counts; one that is left out always holds."""

    name: Name
    """Unique among all rules."""

    tenants: Items[Name] = ()
    """Tenants whose requests these are."""

    agents: Items[Name] = ()
    """Agents whose requests these are."""

    task_types: Items[Name] = ()
    """Task types of the requests, names of `routing.task_types`."""

    classes: Items[Literal["trivial", "simple", "moderate", "complex", "vision"]] = ()
    """Complexity classes of the queries."""

    domains: Items[Name] = ()
    """Domains of the queries, as the classifier tells them where it is sure."""

    labels: Items[Literal["simple", "medium", "complex", "reasoning"]] = ()
    """Labels of the queries, as the classifier tells them where it is sure."""

    strategy: Name | None = None
    """The strategy that chooses. Default: that of `routing`."""

    cost_quality: Score | None = None
    """The dial. Default: that of the tenant, else of `routing`."""

    min_tier: Tier = 1
    """Lowest tier that may answer."""

    max_tier: Tier = 5
    """Highest tier that may answer, below pins; not below `min_tier`."""

    experiment: Name | None = None
    """The experiment that some of these requests take part in. Default: none."""

    cache_age_s: Annotated[float, Field(ge=0, le=86_400)] | None = None
    """How old a kept answer may be, in seconds, that is given to these requests; 0: none is. Default: `cache.default_age_s`. Of effect
    where `cache` is enabled."""

    @field_validator("max_tier")
    @classmethod
    def _is_not_below_min_tier(cls, value: int, info: ValidationInfo) -> int:
        return tiers_in_order(value, info)


class ArmConfig(Section):
    """One way to choose that an experiment tries."""

    name: Name
    """Unique in the experiment."""

    share: Annotated[float, Field(gt=0, le=1)]
    """Share of the requests that it takes; all arms together at most 1. The rest is decided as without the experiment."""

    strategy: Name | None = None
    """The strategy that chooses. Default: as without the experiment."""

    cost_quality: Score | None = None
    """The dial. Default: as without the experiment."""


class ExperimentConfig(Section):
    """Tries ways to choose on some requests of the rules that name it."""

    name: Name
    """Unique among all experiments."""

    shadow: bool = False
    """Whether an arm's choice is told only, and the request decided as without it."""

    arms: Annotated[Items[ArmConfig], Field(min_length=1)]
    """What is tried; at least one."""
