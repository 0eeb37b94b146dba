"""`tierway fit`: a calibration from an operator's own outcomes."""

from pathlib import Path

import click

from tierway_cli._learning import (
    failures_shown,
    fold_option,
    load_classifier,
    models_option,
    names_option,
    pair_option,
    parse_fold,
    parse_names,
    parse_pair,
)
from tierway_cli._output import print_table


@click.command()
@click.argument("traffic", type=click.Path(path_type=Path))
@pair_option
@models_option
@names_option
@fold_option
@click.option("--weights", type=click.Path(path_type=Path), help="Weights to fit on.  [default: those that ship]")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default=Path("calibration.json"),
    show_default=True,
    help="The file to write.",
)
def fit(
    *,
    traffic: Path,
    pair: str | None,
    models: Path | None,
    names: tuple[str, ...],
    fold: str | None,
    weights: Path | None,
    output: Path,
) -> None:
    """Learns from the outcomes in TRAFFIC (JSONL, plain or gzip; 200 labelled rows at least) and writes a calibration.

    A row has `id`, `prompt`, optionally `group`, and outcomes from 0 to 1: `outcomes` by model, or `correct` as a list, or
    fields that end in `_correct`.
    """
    with failures_shown():
        from tierway_core.calibration import save
        from tierway_learn import fit as learn
        from tierway_learn import read_data_set
        from tierway_learn.folds import fold_of

        asked, model_names, judged = parse_pair(pair), parse_names(names), parse_fold(fold)
        data = read_data_set(traffic, models, () if asked is None else (asked.strong, asked.weak))
        if judged is not None:
            data = data.where(lambda row: fold_of(row.group, judged[1]) != judged[0])
        classifier = load_classifier(weights)
        fitted = learn(data, classifier, pair=asked, model_names=model_names)
        save(output, fitted.calibration)
    calibration = fitted.calibration
    print_table(
        ("model", "rows", "ability", "by domain"),
        [
            (
                model,
                count,
                f"{calibration.abilities[model].overall:+.2f}"
                if model in calibration.abilities
                else "- (too few rows)",
                ", ".join(f"{name} {value:+.2f}" for name, value in calibration.abilities[model].domains.items())
                if model in calibration.abilities
                else "",
            )
            for model, count in fitted.outcomes.items()
        ],
    )
    if fitted.gain and calibration.pair:
        click.echo(
            f"gain of {calibration.pair.strong} over {calibration.pair.weak}: explains {fitted.gain.choice.explained:.1%}"
            " of the variance on groups left out"
        )
        if data.name in classifier.weights.data:
            click.echo(f"Note: the weights were trained on rows of {data.name}, so that share looks better than it is.")
    click.echo(f"{output}: calibration {calibration.identity} for the weights {calibration.weights}")
