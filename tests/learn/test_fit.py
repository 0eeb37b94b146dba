from datetime import UTC, datetime

import pytest

from tests.learn.outcomes import make_rows, write_rows
from tierway_learn import PairNames, TooFewLabelsError, UnknownNameError, fit, read_data_set

PAIR = PairNames(strong="strong", weak="weak")
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def test_fit_is_a_calibration_for_the_weights(classifier, traffic) -> None:
    fitted = fit(read_data_set(traffic), classifier, pair=PAIR, model_names={"strong": "grok-4"}, now=NOON)
    calibration = fitted.calibration
    assert calibration.weights == classifier.weights.identity
    assert (calibration.created, calibration.labels) == ("2026-11-20T12:00:00+00:00", 400)
    assert (calibration.pair.strong, calibration.pair.weak) == ("grok-4", "weak")
    assert calibration.abilities["grok-4"].overall > calibration.abilities["weak"].overall
    assert fitted.outcomes == {"grok-4": 400, "weak": 400}


def test_same_outcomes_give_the_same_calibration(classifier, traffic) -> None:
    data = read_data_set(traffic)
    once, again = (fit(data, classifier, pair=PAIR, now=NOON).calibration for _ in range(2))
    assert once.identity == again.identity


def test_abilities_need_no_pair(classifier, traffic) -> None:
    calibration = fit(read_data_set(traffic), classifier).calibration
    assert calibration.pair is None
    assert set(calibration.abilities) == {"strong", "weak"}


def test_fewer_than_200_labels_are_refused(classifier, tmp_path) -> None:
    rows = make_rows(250)
    for row in rows[100:]:
        del row["outcomes"]["weak"]
    data = read_data_set(write_rows(tmp_path / "few.jsonl", rows))
    with pytest.raises(
        TooFewLabelsError, match="the gain of strong over weak: 100 labelled rows are too few, at least 200"
    ):
        fit(data, classifier, pair=PAIR)
    with pytest.raises(TooFewLabelsError, match="abilities: 199 labelled rows"):
        fit(read_data_set(write_rows(tmp_path / "fewer.jsonl", rows[:199])), classifier)


def test_unknown_name_of_the_pair_is_refused(classifier, traffic) -> None:
    with pytest.raises(UnknownNameError, match=r"'stronk' \(known: strong, weak\)"):
        fit(read_data_set(traffic), classifier, pair=PairNames(strong="stronk", weak="weak"))
