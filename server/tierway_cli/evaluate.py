"""`tierway eval`: how good the routing is on outcomes, beside what anyone could do without it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tierway_cli._connection import EXIT_FAILED
from tierway_cli._learning import failures_shown, load_classifier, models_option, pair_option, parse_pair
from tierway_cli._output import print_table

if TYPE_CHECKING:  # NumPy is not for those who only ask
    from tierway_learn import Base, Judgement
    from tierway_learn.arrays import Floats

_FOLD = "{fold}"


@click.command("eval")
@click.argument("datasets", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--calibration", type=click.Path(path_type=Path), help="A file of `tierway fit`.")
@pair_option
@models_option
@click.option(
    "--weights",
    help="Weights to judge.  [default: those that ship] With {fold} in the name: a file for each fold, trained without it.",
)
@click.option(
    "--folds", type=click.IntRange(2, 100), help="Also fit the pair's gain, each fold judged by a fit without it."
)
@click.option(
    "--labels", type=click.IntRange(50), help="How many rows a fit may learn from.  [default: all of the other folds]"
)
@click.option("--repeats", type=click.IntRange(1), default=1, show_default=True, help="Draws of the labels to average.")
@click.option(
    "--embeddings", type=click.Path(path_type=Path), help="Sentence embeddings (training/embed.py), as a baseline."
)
@click.option(
    "--weak-price",
    type=click.FloatRange(0, 1),
    default=0.01,
    show_default=True,
    help="Of the weak model, the strong one's being 1.",
)
@click.option("--resamples", type=click.IntRange(1), default=200, show_default=True, help="Of the bootstrap intervals.")
@click.option("--output", type=click.Path(path_type=Path), help="Folder for the curves: PNG and HTML.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def evaluate(
    *,
    datasets: tuple[Path, ...],
    calibration: Path | None,
    pair: str | None,
    models: Path | None,
    weights: str | None,
    folds: int | None,
    labels: int | None,
    repeats: int,
    embeddings: Path | None,
    weak_price: float,
    resamples: int,
    output: Path | None,
    as_json: bool,
) -> None:
    """Judges the routing on the outcomes in DATASET... (JSONL, plain or gzip), always beside random, word count and class rules."""
    if labels is not None and folds is None:
        raise click.BadParameter("needs --folds", param_hint="--labels")
    with failures_shown():
        from tierway_learn import Crossing, judge, judge_together, read_data_set

        asked = parse_pair(pair)
        base = _base(weights, calibration, folds)
        crossing = None if folds is None else Crossing(folds=folds, labels=labels, repeats=repeats)
        vectors = _vectors(embeddings)
        read = []
        for path in datasets:
            data = read_data_set(path, models, () if asked is None else (asked.strong, asked.weak))
            read.append(data)
            for judgement in judge(
                data, base, asked, crossing=crossing, vectors=vectors, weak_price=weak_price, resamples=resamples
            ):
                _show(judgement, output, as_json)
        together = judge_together(read, base, resamples)
        if together is not None:
            _show(together, output, as_json)


def _base(weights: str | None, calibration: Path | None, folds: int | None) -> "Base":
    from tierway_learn import Base

    if weights is None or _FOLD not in weights:
        return Base([load_classifier(None if weights is None else Path(weights), calibration)])
    if folds is None or calibration is not None:
        raise click.BadParameter(f"{_FOLD} needs --folds, and no --calibration", param_hint="--weights")
    return Base([load_classifier(Path(weights.replace(_FOLD, str(fold)))) for fold in range(folds)])


def _show(judgement: "Judgement", output: Path | None, as_json: bool) -> None:
    from tierway_learn.report import columns, lines, to_json_object

    if as_json:
        click.echo(json.dumps(to_json_object(judgement), ensure_ascii=False))
    else:
        facts = ", ".join(f"{name} {value:.3g}" for name, value in judgement.facts.items())
        title = f"{judgement.data_set}: {judgement.question}; {judgement.rows} rows; {facts}"
        print_table(("method", *columns(judgement)), lines(judgement), title=title)
        if judgement.note:
            click.echo(f"Note: {judgement.note}.")
    if output is not None:
        _draw(judgement, output)


def _draw(judgement: "Judgement", folder: Path) -> None:
    from tierway_learn.plots import draw

    try:
        drawn = draw(judgement, folder)
    except ModuleNotFoundError as error:
        click.echo(f"tierway: {error.name} is not installed: pip install 'tierway[eval]'", err=True)
        raise click.exceptions.Exit(EXIT_FAILED) from None
    for path in drawn:
        click.echo(f"{path}: drawn", err=True)


def _vectors(path: Path | None) -> "Mapping[str, Floats] | None":
    if path is None:
        return None
    import numpy as np

    with np.load(path, allow_pickle=False) as stored:
        return dict(zip(stored["ids"].tolist(), stored["vectors"].astype(np.float64), strict=True))
