"""The curve of cost against quality, as PNG by matplotlib and as HTML by plotly: the extra `eval`."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tierway_learn.evaluate import Judgement
from tierway_learn.metrics import Curve

__all__ = ["draw"]


def draw(judgement: Judgement, folder: Path) -> list[Path]:
    """Draws the curves of a judgement; none if its methods have none.

    Args:
        judgement: what to draw.
        folder: where to; made if missing.

    Raises:
        ModuleNotFoundError: matplotlib or plotly is not installed.
        OSError: a file cannot be written.
    """
    curves = {judged.method: judged.curve for judged in judgement.judged if judged.curve is not None}
    if not curves:
        return []
    import matplotlib as mpl
    import plotly.graph_objects as go

    folder.mkdir(parents=True, exist_ok=True)
    stem = folder / re.sub(r"[^A-Za-z0-9]+", "-", f"{judgement.data_set}-{judgement.question}").strip("-").lower()
    title = f"{judgement.data_set}: {judgement.question} ({judgement.rows} rows)"
    across = "share of prompts sent to the strong model" if _is_pair(curves) else "cost, always asking the experts = 1"
    return [
        _draw_png(stem.with_suffix(".png"), mpl, title, across, curves),
        _draw_html(stem.with_suffix(".html"), go, title, across, curves),
    ]


def _is_pair(curves: Mapping[str, Any]) -> bool:
    return isinstance(next(iter(curves.values())), Curve)


def _points(curve: Any) -> tuple[list[float], list[float]]:
    across = curve.share if isinstance(curve, Curve) else curve.cost
    return list(across), list(curve.quality)


def _draw_png(path: Path, mpl: Any, title: str, across: str, curves: Mapping[str, Any]) -> Path:
    # A figure of its own, without pyplot: no display, no global state.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with mpl.rc_context({"font.size": 9}):
        figure = Figure(figsize=(8, 5), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        for name, curve in curves.items():
            axes.plot(*_points(curve), label=name, linestyle="--" if name == "random" else "-")
        axes.set(title=title, xlabel=across, ylabel="quality (share right)")
        axes.grid(visible=True, alpha=0.3)
        axes.legend()
        figure.savefig(path, dpi=150)
    return path


def _draw_html(path: Path, go: Any, title: str, across: str, curves: Mapping[str, Any]) -> Path:
    figure = go.Figure(layout={"title": title, "xaxis_title": across, "yaxis_title": "quality (share right)"})
    for name, curve in curves.items():
        x, y = _points(curve)
        figure.add_trace(
            go.Scatter(x=x, y=y, mode="lines", name=name, line={"dash": "dash" if name == "random" else "solid"})
        )
    figure.write_html(path, include_plotlyjs=True)
    return path
