"""`tierway simulate`: what a configuration would have made of traffic, without an engine, a key or a network."""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tierway_cli._connection import EXIT_FAILED
from tierway_cli._learning import failures_shown, fold_option, models_option, names_option, parse_fold, parse_names
from tierway_cli._output import print_table
from tierway_cli._simulation import read_faults, read_fleet, read_traffic

if TYPE_CHECKING:
    from tierway_sim import Part, Run, Summary

_SWEEP = (0.0, *(round(1 / (1 + 0.8**step), 4) for step in range(24)), 1.0)
# The exchange rate falls by a fifth from dial to dial: models of a hundredfold price change places where it is a few hundredths.


@click.command()
@click.argument("log", type=click.Path(path_type=Path), required=False)
@click.option(
    "--synthetic", is_flag=True, help="Made-up traffic in place of LOG, mixed 40/30/15/10/5 by how much it asks."
)
@click.option(
    "--requests", type=click.IntRange(1), help="How many.  [default: each row of LOG once; 100,000 synthetic ones]"
)
@click.option(
    "--rate",
    type=click.FloatRange(0, min_open=True),
    help="Requests a second, at random times.  [default: as logged, else 10]",
)
@click.option(
    "--config", "config_path", type=click.Path(path_type=Path), help="The configuration.  [default: the shipped one]"
)
@click.option("--against", type=click.Path(path_type=Path), help="Another configuration, for the same traffic.")
@click.option("--dial", type=click.FloatRange(0, 1), help="The dial of every request.  [default: as configured]")
@click.option("--strategy", default="", help="The strategy of every request.  [default: as configured]")
@click.option(
    "--deadline", type=click.FloatRange(0, min_open=True), help="Seconds that every request has for its whole answer."
)
@click.option("--sweep", is_flag=True, help="Two dozen dials from 0 to 1: the curve of cost against quality.")
@click.option("--strong", help="The model that everything is compared with.  [default: the dearest]")
@click.option(
    "--fail", "failing", multiple=True, metavar="TARGET:SHARE@FROM..TO", help="A share of a target's requests fails."
)
@click.option(
    "--slow", "slowing", multiple=True, metavar="TARGET:TIMESx@FROM..TO", help="A target takes times as long."
)
@click.option("--vanish", "vanishing", multiple=True, metavar="TARGET@FROM..TO", help="Nothing answers at a target.")
@click.option(
    "--faults",
    "schedule",
    type=click.Path(path_type=Path),
    help="A file of faults: `fail groq:0.3@60..120`, one a line.",
)
@names_option
@fold_option
@click.option(
    "--calibration", type=click.Path(path_type=Path), help="A file of `tierway fit`, in place of the configured one."
)
@models_option
@click.option("--seed", type=int, default=0, show_default=True, help="Of all chance: the same seed, the same figures.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a run, a line each.")
@click.option(
    "--plot", type=click.Path(path_type=Path), help="Where to draw it, .png or .html: shares over time, or the curve."
)
def simulate(
    *,
    log: Path | None,
    synthetic: bool,
    requests: int | None,
    rate: float | None,
    config_path: Path | None,
    against: Path | None,
    dial: float | None,
    strategy: str,
    deadline: float | None,
    sweep: bool,
    strong: str | None,
    failing: tuple[str, ...],
    slowing: tuple[str, ...],
    vanishing: tuple[str, ...],
    schedule: Path | None,
    names: tuple[str, ...],
    fold: str | None,
    calibration: Path | None,
    models: Path | None,
    seed: int,
    as_json: bool,
    plot: Path | None,
) -> None:
    """Replays LOG (JSONL, plain or gzip), or synthetic traffic, through the router on a virtual clock.

    A row of LOG has `id` and `prompt`; `at_s` says when it was asked. It may have `agent`, `task_type`, `max_tokens`,
    `output_tokens`, and outcomes as `tierway fit` reads them, by which real quality is told.

    A TARGET is a deployment or a provider, FROM and TO are seconds of the virtual clock; either may be left out.
    """
    if (log is None) != synthetic:
        raise click.UsageError("either LOG or --synthetic is needed")
    if sweep and dial is not None:
        raise click.UsageError("--sweep and --dial exclude each other")
    if plot is not None and plot.suffix not in (".png", ".html"):
        raise click.BadParameter("must end in .png or .html", param_hint="--plot")
    judged = parse_fold(fold)
    fleets = [read_fleet(path, calibration) for path in ([config_path] if against is None else [config_path, against])]
    with failures_shown(), _simulation_failures_shown():
        from tierway_sim import Wishes, replay, summarise

        traffic = read_traffic(
            log, models=models, names=parse_names(names), fold=judged, requests=requests, rate=rate, seed=seed
        )
        faults = read_faults({"fail": failing, "slow": slowing, "vanish": vanishing}, schedule)
        runs, summaries = [], []
        for fleet in fleets:
            for turn in _SWEEP if sweep else (dial,):
                wishes = Wishes(dial=turn, strategy=strategy, deadline_s=math.inf if deadline is None else deadline)
                run = replay(fleet, traffic, faults, wishes=wishes, seed=seed)
                summaries.append(summarise(run, faults, strong=strong))
                if plot is not None and not sweep:
                    runs.append(run)
        _show(summaries, is_curve=sweep, as_json=as_json)
        if plot is not None:
            _draw(summaries, runs, plot)


@contextmanager
def _simulation_failures_shown() -> Iterator[None]:
    """Inside, what cannot be simulated becomes one line on stderr and exit code 1."""
    from tierway_sim import SimError

    try:
        yield
    except SimError as error:
        click.echo(f"tierway: {error}", err=True)
        raise click.exceptions.Exit(EXIT_FAILED) from None


def _show(summaries: "Sequence[Summary]", *, is_curve: bool, as_json: bool) -> None:
    from tierway_sim.report import (
        cheapest_near_best,
        curve_lines,
        figure_lines,
        part_lines,
        shift_lines,
        to_json_object,
    )

    if as_json:
        for summary in summaries:
            click.echo(json.dumps(to_json_object(summary)))
        return
    names = [summary.name for summary in summaries]
    if is_curve:
        print_table(
            (
                "configuration",
                "dial",
                "cost",
                "saving",
                "times a dollar",
                "expected quality",
                "quality",
                "known",
                "latency P95",
            ),
            curve_lines(summaries),
        )
        for name in dict.fromkeys(names):
            near = cheapest_near_best([summary for summary in summaries if summary.name == name])
            if near is not None:
                click.echo(f"{name}: 95 % of its best quality at the dial {near.dial:g}: {near.saving:.1%} saved")
        return
    print_table(("", *names), figure_lines(summaries))
    for title, parts_of in _PARTS.items():
        print_table((title, *names), part_lines(summaries, parts_of))
    shifts = shift_lines(summaries)
    if shifts:
        print_table(
            ("configuration", "fault", "deployment", "share before", "during", "traffic left", "came back"), shifts
        )


_PARTS: "dict[str, Callable[[Summary], Sequence[Part]]]" = {
    "model": lambda summary: summary.by_model,
    "tier": lambda summary: summary.by_tier,
    "provider": lambda summary: summary.by_provider,
}


def _draw(summaries: "Sequence[Summary]", runs: "Sequence[Run]", path: Path) -> None:
    from tierway_sim.plots import draw_curve, draw_shares

    try:
        if runs:
            draw_shares(runs, path)
        else:
            draw_curve(summaries, path)
    except ModuleNotFoundError as error:
        click.echo(f"tierway: {error.name} is not installed: pip install 'tierway[eval]'", err=True)
        raise click.exceptions.Exit(EXIT_FAILED) from None
    click.echo(f"{path}: drawn", err=True)
