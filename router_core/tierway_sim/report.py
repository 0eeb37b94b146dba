"""Summaries as JSON, and as lines of tables."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from tierway_sim.summary import Part, Percentiles, Summary

__all__ = ["cheapest_near_best", "curve_lines", "figure_lines", "part_lines", "shift_lines", "to_json_object"]


_ENOUGH = 0.95
"""The share of answers whose outcome must be known for a quality to stand for all of them."""


def to_json_object(summary: Summary) -> dict[str, Any]:
    """A summary as JSON has it: its fields by name."""
    return asdict(summary)


def figure_lines(summaries: Sequence[Summary]) -> list[tuple[str, ...]]:
    """What is to be known of each summary, side by side: a line a figure, its name first."""
    figures: dict[str, Callable[[Summary], str]] = {
        "requests": lambda one: f"{one.requests:,}",
        "answered": lambda one: f"{one.answered:,} ({_share(one.answered, one.requests)})",
        "by another than the chosen": lambda one: f"{one.fell_back:,} ({_share(one.fell_back, one.requests)})",
        "failed": lambda one: f"{one.failed:,} ({_share(one.failed, one.requests)})",
        "refused": _refused,
        "cost": lambda one: f"${one.cost_usd:,.4f}",
        "all on the strong model": lambda one: f"${one.strong.cost_usd:,.4f} ({one.strong.model})",
        "saving": lambda one: f"{one.saving:.1%}",
        "answers for a dollar": lambda one: f"{one.requests_per_usd:,.0f} ({one.throughput_per_usd_ratio:.2f} times)",
        "expected quality": lambda one: _quality(one.expected_quality, one.strong.expected_quality),
        "quality": lambda one: _quality(one.quality, one.strong.quality),
        "outcomes known": lambda one: f"{one.known_outcomes:,} ({_share(one.known_outcomes, one.answered)})",
        "first token P50, P95, P99": lambda one: _times(one.first_token),
        "latency P50, P95, P99": lambda one: _times(one.latency),
    }
    return [(name, *map(figure, summaries)) for name, figure in figures.items()]


def part_lines(summaries: Sequence[Summary], parts_of: Callable[[Summary], Sequence[Part]]) -> list[tuple[str, ...]]:
    """Who answered how much of each, side by side, those left out that had nothing in any."""
    by_name = [{part.name: part for part in parts_of(summary)} for summary in summaries]
    names = dict.fromkeys(name for parts in by_name for name, part in parts.items() if part.requests)
    return [
        (
            name,
            *(f"{parts[name].share:.1%}, ${parts[name].cost_usd:,.4f}" if name in parts else "-" for parts in by_name),
        )
        for name in names
    ]


def curve_lines(summaries: Sequence[Summary]) -> list[tuple[str, ...]]:
    """What each dial comes to, a line a dial."""
    return [
        (
            one.name,
            "-" if one.dial is None else f"{one.dial:g}",
            f"${one.cost_usd:,.4f}",
            f"{one.saving:.1%}",
            f"{one.throughput_per_usd_ratio:.2f}",
            _quality(one.expected_quality, one.strong.expected_quality),
            _quality(one.quality, one.strong.quality),
            _share(one.known_outcomes, one.answered),
            f"{one.latency.p95_s:.2f} s",
        )
        for one in summaries
    ]


def shift_lines(summaries: Sequence[Summary]) -> list[tuple[str, ...]]:
    """What each fault did to whom, a line each."""
    return [
        (
            one.name,
            shift.fault,
            shift.deployment,
            f"{shift.share_before:.1%}",
            f"{shift.share_during:.1%}",
            _after(shift.left_after_requests),
            _after(shift.back_after_requests),
        )
        for one in summaries
        for shift in one.shifts
    ]


def cheapest_near_best(summaries: Sequence[Summary], share: float = 0.95) -> Summary | None:
    """The cheapest whose quality is at least `share` of the best one's; None where fewer outcomes than `_ENOUGH` are known."""
    known = [
        (one, one.quality)
        for one in summaries
        if one.quality is not None and one.known_outcomes >= _ENOUGH * one.answered
    ]
    if len(known) < len(summaries):
        return None
    best = max((quality for _, quality in known), default=0.0)
    near = [one for one, quality in known if quality >= share * best]
    return min(near, key=lambda one: one.cost_usd, default=None)


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "-"


def _refused(one: Summary) -> str:
    count = sum(one.refused.values())
    why = ", ".join(f"{kind} {times:,}" for kind, times in one.refused.items())
    return f"{count:,} ({why})" if why else "0"


def _quality(value: float | None, strong: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if strong is None else f"{value:.3f} (strong: {strong:.3f})"


def _times(times: Percentiles) -> str:
    return f"{times.p50_s:.2f}, {times.p95_s:.2f}, {times.p99_s:.2f} s"


def _after(requests: int | None) -> str:
    return "no" if requests is None else f"after {requests:,} requests"
