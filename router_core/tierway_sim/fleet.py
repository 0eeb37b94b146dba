"""What is simulated: the table that decides, and how fast what it chooses answers."""

from collections.abc import Sequence
from dataclasses import dataclass

from tierway_core import Classifier, Table

__all__ = ["Fleet", "Pace"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast a deployment answers when nothing is wrong with it."""

    first_token_s: float
    """Mean time from the start of a request to its first token."""
    token_s: float
    """Mean time of each further token."""
    slots: int = 0
    """Requests that run at once; 0: any number."""
    queue: int = 0
    """Requests that wait for a slot; one more is refused, and goes down its chain."""
    engine: str = ""
    """Deployments on one engine share its slots and its queue; empty: it has its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """A configuration, as far as a simulation needs it."""

    name: str
    """What reports call it."""
    table: Table
    classifier: Classifier | None
    """What the router decides with; None where the rules of the class do."""
    paces: Sequence[Pace]
    """By index of the deployment."""
