"""What `fit` and `eval` share: the options that name models and weights, and how errors of learning are shown."""

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


def parse_pair(pair: str | None) -> "PairNames | None":
    """The two names of `--pair`."""
    from tierway_learn import PairNames

    if pair is None:
        return None
    names = [name.strip() for name in pair.split(",")]
    if len(names) != 2 or not all(names) or names[0] == names[1]:
        raise click.BadParameter(f"must be two different names, STRONG,WEAK: {pair!r}", param_hint="--pair")
    return PairNames(strong=names[0], weak=names[1])


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
