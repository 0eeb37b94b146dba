from array import array
from pathlib import Path

import pytest

from tests.core.networks import floats, make_header, make_tensors
from tests.learn.outcomes import make_rows, write_rows
from tierway_core import Classifier, Weights
from tierway_core.signals import COUNTERS
from tierway_core.weights import dump


@pytest.fixture(scope="session")
def weights_file(tmp_path_factory) -> Path:
    """Random weights: what is learned on them comes from the outcomes alone."""
    counters = len(COUNTERS)
    flat = {"mean": floats(*array("f", [0.0] * counters)), "deviation": floats(*array("f", [1.0] * counters))}
    path = tmp_path_factory.mktemp("weights") / "random.weights"
    path.write_bytes(dump(make_header(data=["seen"]), make_tensors(**flat)))
    return path


@pytest.fixture(scope="session")
def classifier(weights_file) -> Classifier:
    return Classifier(Weights.load(weights_file))


@pytest.fixture
def traffic(tmp_path) -> Path:
    return write_rows(tmp_path / "traffic.jsonl", make_rows(400))
