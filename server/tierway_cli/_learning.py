"""What `fit`, `eval` and `simulate` share: the options that name models and weights, and how errors of learning are shown."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tierway_cli._connection import EXIT_FAILED

if TYPE_CHECKING:  # NumPy is not for those who only ask
    from tierway_core import Classifier
    from tierway_learn import PairNames

pair_option = click.option(
    "--pair",
    metavar="STRONG,WEAK",
    help="The pair whose gain is learned: two names of models, or of fields that hold an outcome.",
)
models_option = click.option(
    "--models",
    type=click.Path(path_type=Path),
    help="Names of the models of `correct`, by data set.  [default: models.json beside the file]",
)

names_option = click.option(
    "--name",
    "names",
    multiple=True,
    metavar="DATA=MODEL",
    help="What a model of the data is called in the configuration; may be given several times.",
)

fold_option = click.option(
    "--fold",
    metavar="K/N",
    help="Of N parts of the data, split by group, the K-th, from 0. `fit` takes the others, so that none that is judged was learned from.",
)


def parse_fold(fold: str | None) -> tuple[int, int] | None:
    """Which part of `--fold`, and of how many."""
    if fold is None:
        return None
    which, sign, count = fold.partition("/")
    if not (sign and which.isdecimal() and count.isdecimal() and int(which) < int(count) and int(count) > 1):
        raise click.BadParameter(f"must be K/N, K from 0 to below N: {fold!r}", param_hint="--fold")
    return int(which), int(count)


def parse_pair(pair: str | None) -> "PairNames | None":
    """The two names of `--pair`."""
    from tierway_learn import PairNames

    if pair is None:
        return None
    names = [name.strip() for name in pair.split(",")]
    if len(names) != 2 or not all(names) or names[0] == names[1]:
        raise click.BadParameter(f"must be two different names, STRONG,WEAK: {pair!r}", param_hint="--pair")
    return PairNames(strong=names[0], weak=names[1])


def parse_names(names: tuple[str, ...]) -> dict[str, str]:
    """What models of the data are called in the configuration, of `--name`."""
    pairs = [name.partition("=") for name in names]
    for (in_data, sign, model), given in zip(pairs, names, strict=True):
        if not (in_data and sign and model):
            raise click.BadParameter(f"must be DATA=MODEL: {given!r}", param_hint="--name")
    return {in_data: model for in_data, _, model in pairs}


def load_classifier(weights: Path | None, calibration: Path | None = None) -> "Classifier":
    """The classifier of these weights (default: the shipped ones), calibrated or not."""
    from tierway_core import Classifier, Weights
    from tierway_core.calibration import load

    loaded = Weights.default() if weights is None else Weights.load(weights)
    return Classifier(loaded, None if calibration is None else load(calibration, loaded.identity))


@contextmanager
def failures_shown() -> Iterator[None]:
    """Inside, what is wrong with a file becomes one line on stderr and exit code 1."""
    from tierway_core import CoreError
    from tierway_learn import LearnError

    try:
        yield
    except (CoreError, LearnError, OSError) as error:
        click.echo(f"tierway: {error}", err=True)
        raise click.exceptions.Exit(EXIT_FAILED) from None
