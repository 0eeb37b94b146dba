"""Faults: what goes wrong where, from when to when.

    fail groq:0.3@60..120           of the requests to groq, 30 % fail
    slow grok-4@openrouter:10x@60.. first token and every other take ten times as long, to the end
    vanish local@..30               nothing answers

A fault is of a deployment, or of a provider: then all of its deployments have it. Times are seconds of the virtual clock.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from tierway_core import Table
from tierway_sim.errors import FaultError

__all__ = ["Fault", "FaultKind", "affected", "parse_fault", "read_faults"]

_FORM = re.compile(r"(?P<target>.+?)(?::(?P<size>[0-9.]+)(?P<times>x?))?@(?P<start>[0-9.]*)\.\.(?P<end>[0-9.]*)")
_FORMS = {
    "fail": "TARGET:SHARE@FROM..TO",
    "slow": "TARGET:TIMESx@FROM..TO",
    "vanish": "TARGET@FROM..TO",
}


class FaultKind(StrEnum):
    """What goes wrong."""

    FAIL = "fail"
    """A share of the requests fails."""
    SLOW = "slow"
    """Everything takes longer."""
    VANISH = "vanish"
    """Nothing answers, and callers find out only after a while."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something that goes wrong for a while."""

    kind: FaultKind
    target: str
    """Name of a deployment, or of a provider."""
    size: float
    """FAIL: the share of requests that fail, 0 to 1. SLOW: how many times as long it takes, above 0. VANISH: 1."""
    from_s: float
    """When it begins, in seconds from the beginning."""
    until_s: float
    """When it is over, likewise; infinite: never."""

    def __str__(self) -> str:
        size = {FaultKind.FAIL: f":{self.size:g}", FaultKind.SLOW: f":{self.size:g}x", FaultKind.VANISH: ""}[self.kind]
        until = "" if math.isinf(self.until_s) else f"{self.until_s:g}"
        return f"{self.kind} {self.target}{size}@{self.from_s:g}..{until}"


def parse_fault(kind: FaultKind, text: str) -> Fault:
    """Reads a fault, in the form of its kind.

    Raises:
        FaultError: it has another form, or a number is out of range.
    """
    match = _FORM.fullmatch(text)
    if (
        match is None
        or (match["size"] is None) != (kind is FaultKind.VANISH)
        or bool(match["times"]) != (kind is FaultKind.SLOW)
    ):
        raise FaultError(text, f"must be {_FORMS[kind]}, FROM and TO in seconds")
    size = _number(text, match["size"] or "1")
    from_s, until_s = _number(text, match["start"] or "0"), _number(text, match["end"] or "inf")
    if kind is FaultKind.FAIL and size > 1:
        raise FaultError(text, "the share must be 0 to 1")
    if kind is FaultKind.SLOW and size == 0:
        raise FaultError(text, "must be some times as slow, above 0")
    if until_s <= from_s:
        raise FaultError(text, "must be over after it begins")
    return Fault(kind=kind, target=match["target"], size=size, from_s=from_s, until_s=until_s)


def read_faults(path: Path) -> list[Fault]:
    """Reads a schedule: a fault a line, its kind first; empty lines and those that begin with # count for nothing.

    Raises:
        OSError: the file cannot be read.
        FaultError: a line is not a fault.
    """
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [_line(line) for line in lines if line and not line.startswith("#")]


def affected(table: Table, fault: Fault) -> list[int]:
    """Indices of the deployments that a fault is of.

    Raises:
        FaultError: no deployment and no provider is called so.
    """
    for names in (
        [deployment.spec.name for deployment in table.deployments],
        [deployment.spec.provider for deployment in table.deployments],
    ):
        found = [index for index, name in enumerate(names) if name == fault.target]
        if found:
            return found
    raise FaultError(str(fault), f"no deployment and no provider is called {fault.target!r}{_known(table)}")


def _line(line: str) -> Fault:
    kind, _, text = line.partition(" ")
    if kind not in _FORMS:
        raise FaultError(line, f"must begin with {', '.join(_FORMS)}")
    return parse_fault(FaultKind(kind), text.strip())


def _number(text: str, digits: str) -> float:
    try:
        return float(digits)
    except ValueError:
        raise FaultError(text, f"{digits!r} is no number") from None


def _known(table: Table) -> str:
    providers: Sequence[str] = list(dict.fromkeys(deployment.spec.provider for deployment in table.deployments))
    return f" (providers: {', '.join(providers)}; deployments: {table.deployments[0].spec.name} and so on)"
