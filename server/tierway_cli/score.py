"""`tierway score`: what the classifier makes of many prompts, without a server."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import click

from tierway_cli._connection import EXIT_FAILED
from tierway_cli._learning import load_classifier
from tierway_cli._rows import Row, RowError, opened, read_rows

_DECIMALS = 6


class ScoringError(click.ClickException):
    """Something cannot be read, scored or written; click shows the line and exits with 1."""

    exit_code = EXIT_FAILED


@click.command()
@click.argument("file")
@click.option(
    "--calibration",
    "calibration_path",
    type=click.Path(path_type=Path),
    help="What `tierway fit` wrote; where it knows a pair, scores are the gain of its strong model.",
)
@click.option(
    "--weights",
    "weights_path",
    type=click.Path(path_type=Path),
    help="Weights of the classifier. Default: the shipped ones.",
)
@click.option("--output", type=click.Path(path_type=Path), help="The file to write. Default: standard output.")
def score(*, file: str, calibration_path: Path | None, weights_path: Path | None, output: Path | None) -> None:
    """Scores the prompts of FILE, JSON Lines, plain or in gzip (`-`: standard input). Needs no server.

    Rows are objects with `id` and `prompt`. For each, in order, one object is written: `id`; `score` (higher: needs the stronger
    model; the gain of the calibration's pair, else the difficulty); `tier` (1 to 5); `p` (pass probability in the five bands);
    `label`; `domain`; `complexity` (by the class rules); `confidence`.
    """
    source = "standard input" if file == "-" else file
    scored = _scorer(weights_path, calibration_path, source)
    try:
        with opened(file) as stream, _sink(output) as sink:
            for row in read_rows(stream, source):
                sink.write(json.dumps(scored(row)) + "\n")
    except RowError as error:
        raise ScoringError(str(error)) from None
    except BrokenPipeError:
        raise  # whoever read our output has enough: click's business
    except OSError as error:
        raise ScoringError(f"{error.filename or source}: {error.strerror or error}") from None


def _scorer(
    weights_path: Path | None, calibration_path: Path | None, source: str
) -> Callable[[Row], dict[str, object]]:
    # Imported late: the core is not for those who only ask.
    from tierway_core import CalibrationError, InvalidTextError, WeightsError, extract
    from tierway_core.reference import classify

    try:
        classifier = load_classifier(weights_path, calibration_path)
    except OSError as error:
        raise ScoringError(f"{error.filename}: {error.strerror}") from None
    except WeightsError as error:
        raise ScoringError(f"{weights_path or 'the shipped weights'}: {error}") from None
    except CalibrationError as error:
        raise ScoringError(f"{calibration_path}: {error}") from None

    def scored(row: Row) -> dict[str, object]:
        try:
            found, features = classifier.assess(row.prompt), extract(row.prompt)
        except InvalidTextError as error:
            raise RowError(source, row.line, f"prompt has no UTF-8: {error}") from None
        return {
            "id": row.id,
            "score": round(found.difficulty if found.gain is None else found.gain, _DECIMALS),
            "tier": found.tier,
            "p": [round(share, _DECIMALS) for share in found.bands],
            "label": found.label,
            "domain": found.domain,
            "complexity": "VISION" if features.vision else classify(features).name,
            "confidence": round(found.confidence, _DECIMALS),
        }

    return scored


@contextmanager
def _sink(output: Path | None) -> Iterator[IO[str]]:
    """Where the objects go. A file appears whole or not at all."""
    if output is None:
        yield sys.stdout
        return
    draft = output.with_name(f".{output.name}.new")
    try:
        with draft.open("w", encoding="utf-8") as file:
            yield file
        draft.replace(output)
    finally:
        draft.unlink(missing_ok=True)
