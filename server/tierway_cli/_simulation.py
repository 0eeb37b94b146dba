"""What `simulate` simulates: fleets out of configurations, traffic out of logs."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tierway_cli._learning import failures_shown
from tierway_cli._problems import problems_shown

if TYPE_CHECKING:
    from tierway_server.config import Config
    from tierway_sim import Fault, Fleet, Pace, Query, Traffic

SYNTHETIC_REQUESTS = 100_000
RATE = 10.0
"""Requests a second, where nothing says when they came."""


def read_fleet(path: Path | None, calibration: Path | None) -> "Fleet":
    """The fleet of a configuration, calibrated otherwise if asked to; what is wrong with it is shown, and ends the command."""
    with problems_shown(), failures_shown():
        from tierway_core import Classifier
        from tierway_core.calibration import load as load_calibration
        from tierway_server.config import build_table, calibration_path, load, load_weights
        from tierway_sim import Fleet

        config = load(path, environ=os.environ)
        weights, calibration = load_weights(config, os.environ), calibration or calibration_path(config, os.environ)
        classifier = None
        if weights is not None:
            gauged = None if calibration is None else load_calibration(calibration, weights.identity)
            classifier = Classifier(weights, gauged)
        table = build_table(config)
    return Fleet(
        name="default" if path is None else path.stem, table=table, classifier=classifier, paces=_paces(config, table)
    )


def read_traffic(
    log: Path | None,
    *,
    models: Path | None,
    names: Mapping[str, str],
    fold: tuple[int, int] | None,
    requests: int | None,
    rate: float | None,
    seed: int,
) -> "Traffic":
    """The traffic of a log, or made up without one.

    Raises:
        OSError, LearnError, SimError: it cannot be read, or not be replayed so.
    """
    from tierway_sim import arriving, as_logged, synthetic

    if log is None:
        return arriving(synthetic(seed=seed), requests=requests or SYNTHETIC_REQUESTS, rate=rate or RATE, seed=seed)
    pool = _queries(log, models, names, fold)
    if requests is None and rate is None and any(query.at_s is not None for query in pool):
        return as_logged(pool)
    return arriving(pool, requests=requests or len(pool), rate=rate or RATE, seed=seed)


def read_faults(stated: Mapping[str, Sequence[str]], schedule: Path | None) -> "list[Fault]":
    """Faults of the options, by kind, and of a file.

    Raises:
        OSError, FaultError: the file cannot be read; a fault is none.
    """
    from tierway_sim import FaultKind, parse_fault
    from tierway_sim import read_faults as read

    faults = [parse_fault(FaultKind(kind), text) for kind, texts in stated.items() for text in texts]
    return faults if schedule is None else [*faults, *read(schedule)]


def _paces(config: "Config", table: Any) -> "list[Pace]":
    from tierway_sim import Pace

    paces = []
    placed = (deployment for model in config.models for deployment in model.deployments)
    for deployment, place in zip(table.deployments, placed, strict=True):
        slots, queue = 0, 0
        if place.engine is not None:
            engine = config.engines[place.engine]
            slots, queue = engine.max_num_seqs, engine.queue_size
        paces.append(
            Pace(
                first_token_s=deployment.spec.expected_latency_s,
                token_s=deployment.spec.expected_token_s,
                slots=slots,
                queue=queue,
                engine=place.engine or "",
            )
        )
    return paces


def _queries(log: Path, models: Path | None, names: Mapping[str, str], fold: tuple[int, int] | None) -> "list[Query]":
    from tierway_learn import read_data_set
    from tierway_learn.folds import fold_of
    from tierway_sim import Query

    queries = []
    for row in read_data_set(log, models).rows:
        if fold is not None and fold_of(row.group, fold[1]) != fold[0]:
            continue
        fields = _Fields(f"{log}: row {row.id}", row.fields)
        queries.append(
            Query(
                prompt=row.prompt,
                at_s=fields.number("at_s"),
                agent=fields.text("agent"),
                tenant=fields.text("tenant"),
                task_type=fields.text("task_type"),
                max_tokens=int(fields.number("max_tokens") or 0),
                prefix=fields.text("prefix"),
                prefix_tokens=int(fields.number("prefix_tokens") or 0),
                output_tokens=int(fields.number("output_tokens") or 0),
                outcomes={names.get(model, model): outcome for model, outcome in row.outcomes.items()},
            )
        )
    return queries


class _Fields:
    """The fields of a row that only a simulation reads."""

    def __init__(self, where: str, values: Mapping[str, Any]) -> None:
        self._where = where
        self._values = values

    def number(self, name: str) -> float | None:
        value = self._values.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1e12:
            raise self._error(name, "must be a number, 0 or more")
        return float(value)

    def text(self, name: str) -> str:
        value = self._values.get(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise self._error(name, "must be a string")
        return value

    def _error(self, name: str, message: str) -> Exception:
        from tierway_sim import TrafficError

        return TrafficError(f"{self._where}: {name}: {message}")
