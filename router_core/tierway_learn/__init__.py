"""Learning from outcomes, and judging by them: what is done offline, with NumPy, around the core.

    data = read_data_set(Path("traffic.jsonl"))
    fitted = fit(data, Classifier(Weights.default()), pair=PairNames(strong="grok-4", weak="qwen3-4b"))
    calibration.save(Path("calibration.json"), fitted.calibration)

Nothing here runs in the server.
"""

from tierway_learn.datasets import DataSet, Row, read_data_set
from tierway_learn.errors import DataError, LearnError, TooFewLabelsError, UnknownNameError
from tierway_learn.evaluate import Judgement, default_pair, judge, judge_bands, judge_labels, judge_pair, judge_together
from tierway_learn.fit import FEWEST_LABELS, Fitted, PairNames, fit
from tierway_learn.methods import Base, Crossing

__all__ = [
    "FEWEST_LABELS",
    "Base",
    "Crossing",
    "DataError",
    "DataSet",
    "Fitted",
    "Judgement",
    "LearnError",
    "PairNames",
    "Row",
    "TooFewLabelsError",
    "UnknownNameError",
    "default_pair",
    "fit",
    "judge",
    "judge_bands",
    "judge_labels",
    "judge_pair",
    "judge_together",
    "read_data_set",
]
