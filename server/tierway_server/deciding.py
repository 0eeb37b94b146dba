"""What decisions are made with when the server starts, and who replaces it later: part of the composition root."""

from __future__ import annotations

from collections.abc import Mapping

from tierway_core import Classifier, Prefixes, Router, State, Table
from tierway_server.config import Config, ConfigError, Problem, calibration_path, load_weights
from tierway_server.flow.calibration import CalibrationRefusedError, Calibrator
from tierway_server.flow.decide import Deciding
from tierway_server.telemetry.metrics import Metrics


def start_deciding(
    config: Config, environ: Mapping[str, str], table: Table, state: State, prefixes: Prefixes, metrics: Metrics
) -> tuple[Deciding, Calibrator | None]:
    """What the first decisions are made with; and, where a calibration is configured, what watches its file.

    Raises:
        ConfigError: weights or calibration cannot be used.

    """
    weights = load_weights(config, environ)
    if weights is None:
        return Deciding(Router(table, state, None, prefixes)), None
    path = calibration_path(config, environ)
    if path is None:
        classifier = Classifier(weights)
        return Deciding(Router(table, state, classifier, prefixes), classifier), None
    check_s = config.routing.classifier.calibration_check_s
    calibrator = Calibrator(
        path, table=table, state=state, prefixes=prefixes, weights=weights, metrics=metrics, check_s=check_s
    )
    try:
        return calibrator.load(), calibrator
    except CalibrationRefusedError as refused:
        raise ConfigError([Problem(path="routing.classifier.calibration", message=str(refused))]) from None
