"""The seam that every strategy of `strategies` stands behind: what it sees, and what it says.

A strategy is two files of its name. `strategies/NAME.py` is the specification, written to be read:

    WEIGHS_QUALITY: bool                        # whether it weighs expected quality itself; else a sure assessment sets the floor
    def choose(pool, moment) -> Choice          # of at least one option, by nothing but its arguments
    def describe(figure) -> str                 # the figure of the chosen one, for a person

`strategies/_NAME.pyx` is its fast twin, a `Fast` that extends `tierway_core._strategy.Strategy`. Tests hold the two equal, and
find both by name.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import NamedTuple, Protocol, cast

from tierway_core.errors import UnknownStrategyError
from tierway_core.strategies import STRATEGIES

__all__ = ["Choice", "Moment", "Option", "Strategy", "find_strategy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """A deployment of the pool, as the moment has it."""

    deployment: int
    """Its index in the table."""
    tier: int
    """Its model's tier."""
    weight: float
    """Its part of the load, as configured."""
    identity: int
    """64 bits that stand for its name."""
    cost_picousd: int
    """The estimated cost; input that it holds already at its price for cached input."""
    quality: float
    """The expected quality of its answer, 0 to 1; 0 by the rules of the class."""
    first_token_s: float
    """The predicted time to the first token; shorter if it holds the prefix already."""
    token_s: float
    """The predicted time of each further token."""
    in_flight: int
    """Requests in flight, of all workers."""
    tokens: int
    """Tokens of its last minute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What is the same for all options of a decision."""

    draw: int
    """64 random bits."""
    prefix_key: int
    """What stands for the beginning of the prompt; 0: unknown."""
    likely_tokens: int
    """Tokens of output that are expected."""
    request_tokens: int
    """The most tokens of output, as far as it is stated, and the tokens of input."""
    cost_quality: float
    """The dial, 0 to 1; 0 by the rules of the class."""
    dearest_picousd: int
    """What the request would cost on the dearest deployment of the table."""


class Choice(NamedTuple):
    """What a strategy says."""

    deployment: int
    """Index of the chosen deployment."""
    figure: float
    """What it was chosen by."""


class Strategy(Protocol):
    """A module of `strategies`."""

    WEIGHS_QUALITY: bool

    def choose(self, pool: Sequence[Option], moment: Moment) -> Choice:
        """Chooses one of the pool."""

    def describe(self, figure: float) -> str:
        """The figure of the chosen one, as part of a sentence."""


def find_strategy(name: str) -> Strategy:
    """The specification of a strategy.

    Raises:
        UnknownStrategyError: there is none of this name.
    """
    if name not in STRATEGIES:
        raise UnknownStrategyError(name, STRATEGIES)
    return cast(Strategy, import_module(f"tierway_core.strategies.{name}"))
