"""How fast traffic leaves what is at fault, and how fast it comes back: counted in requests.

The share of a deployment is that of the decisions that choose it; half of its share over the `WINDOW` requests before the fault
tells staying from leaving. Traffic left where the sum of (chosen - half) over the requests since the fault began is highest:
up to there more than half of the former share went to it, from there on less. It came back where the sum of (half - chosen)
since the fault's end is highest. (A cumulative sum finds a change to the request, where a moving window blurs it.)
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from tierway_sim.faults import Fault, affected
from tierway_sim.run import Run

__all__ = ["WINDOW", "Shift", "shifts"]

WINDOW = 2000
"""Requests before a fault by which a share is taken."""

_NS = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """What a fault did to the traffic of a deployment."""

    fault: str
    deployment: str
    share_before: float
    """Its share of the decisions in the window before the fault, 0 to 1."""
    share_during: float
    """Its share while the fault lasted, likewise."""
    left_after_requests: int | None
    """Requests, of all that came, after the fault's beginning until traffic had shifted; None: it did not."""
    back_after_requests: int | None
    """Requests after the fault's end until traffic was back; None: it was not, or it never left."""


def shifts(run: Run, faults: Sequence[Fault]) -> tuple[Shift, ...]:
    """What each fault did, for each deployment that it is of and that had traffic before."""
    return tuple(
        shift
        for fault in faults
        for index in affected(run.fleet.table, fault)
        if (shift := _shift(run, fault, index)) is not None
    )


def _shift(run: Run, fault: Fault, index: int) -> Shift | None:
    begun, over = (bisect_left(run.traffic.at_ns, min(at_s * _NS, 2**62)) for at_s in (fault.from_s, fault.until_s))
    before = max(0, begun - WINDOW)
    times_before = run.chosen[before:begun].count(index)
    if not times_before or over == begun:
        return None
    half = times_before / (begun - before) / 2
    left = _change(run.chosen, index, begun, over, half, is_leaving=True)
    back = None if left is None else _change(run.chosen, index, over, len(run.chosen), half, is_leaving=False)
    return Shift(
        fault=str(fault),
        deployment=run.fleet.table.deployments[index].spec.name,
        share_before=2 * half,
        share_during=run.chosen[begun:over].count(index) / (over - begun),
        left_after_requests=left,
        back_after_requests=back,
    )


def _change(chosen: Sequence[int], index: int, start: int, end: int, half: float, *, is_leaving: bool) -> int | None:
    """Requests from `start` to where the cumulative sum is highest; None: only at the end, so that nothing changed."""
    sign = 1.0 if is_leaving else -1.0
    sums = [0.0, *accumulate(sign * ((each == index) - half) for each in chosen[start:end])]
    highest = max(range(len(sums)), key=sums.__getitem__)
    return None if highest == len(sums) - 1 else highest
