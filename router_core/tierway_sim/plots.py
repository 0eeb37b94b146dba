"""Runs as pictures: PNG by matplotlib, HTML by plotly (the extra `eval`)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tierway_sim.run import Run
from tierway_sim.summary import Summary

__all__ = ["draw_curve", "draw_shares", "shares_over_time"]

_NS = 1_000_000_000
_SLICES = 60


def draw_curve(summaries: Sequence[Summary], path: Path) -> None:
    """Draws cost against quality, a line a configuration and a point a dial.

    Args:
        summaries: of all dials of one configuration or more.
        path: where to; by its suffix a page (`.html`) or a picture (`.png`).

    Raises:
        ModuleNotFoundError: matplotlib or plotly is not installed.
        OSError: the file cannot be written.
    """
    is_known = all(summary.quality is not None for summary in summaries)
    lines: dict[str, tuple[list[float], list[float]]] = {}
    for summary in summaries:
        across, up = lines.setdefault(summary.name, ([], []))
        across.append(summary.cost_usd)
        up.append((summary.quality if is_known else summary.expected_quality) or 0.0)
    for summary in summaries:
        worth = summary.strong.quality if is_known else summary.strong.expected_quality
        lines[f"all on {summary.strong.model}"] = ([summary.strong.cost_usd], [worth or 0.0])
    _draw([("", lines)], "cost in USD", "quality" if is_known else "expected quality", path)


def draw_shares(runs: Sequence[Run], path: Path) -> None:
    """Draws who was chosen over time: a panel a run, a line a deployment. Arguments and errors as of `draw_curve`."""
    panels = []
    for run in runs:
        lines: Mapping[str, tuple[list[float], list[float]]] = shares_over_time(run)
        panels.append((run.fleet.name, lines))
    _draw(panels, "time in seconds", "share of the decisions", path)


def shares_over_time(run: Run, slices: int = _SLICES) -> dict[str, tuple[list[float], list[float]]]:
    """For each deployment that was ever chosen, the middles of `slices` spans of time, and its share of the decisions in each."""
    end_ns = run.traffic.at_ns[-1] + 1 if len(run.traffic) else 1
    counts = [[0] * slices for _ in run.fleet.table.deployments]
    totals = [0] * slices
    for at_ns, chosen in zip(run.traffic.at_ns, run.chosen, strict=True):
        place = at_ns * slices // end_ns
        totals[place] += 1
        if chosen >= 0:
            counts[chosen][place] += 1
    middles = [(place + 0.5) * end_ns / slices / _NS for place in range(slices)]
    return {
        deployment.spec.name: (middles, [part / max(1, total) for part, total in zip(row, totals, strict=True)])
        for deployment, row in zip(run.fleet.table.deployments, counts, strict=True)
        if any(row)
    }


_Panel = tuple[str, Mapping[str, tuple[list[float], list[float]]]]


def _draw(panels: Sequence[_Panel], across: str, up: str, path: Path) -> None:
    if path.suffix == ".html":
        import plotly.graph_objects as go

        _draw_html(panels, across, up, path, go)
    else:
        import matplotlib as mpl

        _draw_png(panels, across, up, path, mpl)


def _draw_png(panels: Sequence[_Panel], across: str, up: str, path: Path, mpl: Any) -> None:
    # A figure of its own, without pyplot: no display, no global state.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with mpl.rc_context({"font.size": 9}):
        figure = Figure(figsize=(9, 4 * len(panels)), layout="constrained")
        FigureCanvasAgg(figure)
        for number, (title, lines) in enumerate(panels, 1):
            axes = figure.add_subplot(len(panels), 1, number)
            for name, (x, y) in lines.items():
                axes.plot(x, y, label=name, marker="o", markersize=3)
            axes.set(title=title, xlabel=across, ylabel=up)
            axes.grid(visible=True, alpha=0.3)
            axes.legend()
        figure.savefig(path, dpi=150)


def _draw_html(panels: Sequence[_Panel], across: str, up: str, path: Path, go: Any) -> None:
    from plotly.subplots import make_subplots

    figure = make_subplots(rows=len(panels), cols=1, subplot_titles=[title for title, _ in panels])
    for number, (title, lines) in enumerate(panels, 1):
        for name, (x, y) in lines.items():
            trace = go.Scatter(x=x, y=y, mode="lines+markers", name=f"{title} {name}".strip())
            figure.add_trace(trace, row=number, col=1)
        figure.update_xaxes(title_text=across, row=number, col=1)
        figure.update_yaxes(title_text=up, row=number, col=1)
    figure.write_html(path, include_plotlyjs=True)
