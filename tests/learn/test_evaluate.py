import math
from collections.abc import Mapping

import pytest

from tests.learn.outcomes import make_rows, write_rows
from tierway_core.weights import LABELS
from tierway_learn import (
    Base,
    Crossing,
    PairNames,
    judge,
    judge_bands,
    judge_labels,
    judge_pair,
    judge_together,
    read_data_set,
)
from tierway_learn.evaluate import default_pair
from tierway_learn.folds import fold_of, folds_of

PAIR = PairNames(strong="strong", weak="weak")


@pytest.fixture
def base(classifier) -> Base:
    return Base([classifier])


def figures(judgement) -> Mapping[str, Mapping]:
    return {judged.method: judged.figures for judged in judgement.judged}


def test_every_figure_stands_beside_random_word_count_and_class_rules(base, traffic) -> None:
    of_method = figures(judge_pair(read_data_set(traffic), base, PAIR, resamples=20))
    assert {"random", "word count", "class rules"} < set(of_method)
    assert of_method["random"]["APGR"].value == pytest.approx(0.5)
    assert of_method["random"]["CPT(80 %)"].value == pytest.approx(80.0)
    for of_one in of_method.values():
        assert set(of_one) >= {"APGR", "CPT(50 %)", "CPT(80 %)", "AUC", "cost against all-strong"}


def test_gain_learned_in_folds_beats_what_is_not_learned(base, traffic) -> None:
    crossing = Crossing(folds=5, labels=200, repeats=2)
    of_method = figures(judge_pair(read_data_set(traffic), base, PAIR, crossing=crossing, resamples=20))
    fitted = of_method["tierway, fitted"]
    assert fitted["APGR"].value > of_method["word count"]["APGR"].value + 0.15
    assert fitted["APGR"].low <= fitted["APGR"].value <= fitted["APGR"].high
    assert fitted["ECE"].value < 0.2


def test_outcomes_of_a_rows_own_fold_do_not_reach_its_score(base, tmp_path) -> None:
    """A prompt that is its own group, and whose outcome nothing else tells, is scored no better than by chance."""
    rows = make_rows(400)
    for index, row in enumerate(rows):
        row["prompt"] = f"w{index}"
        row["group"] = f"g{index}"
    data = read_data_set(write_rows(tmp_path / "alone.jsonl", rows))
    of_method = figures(judge_pair(data, base, PAIR, crossing=Crossing(folds=5), resamples=20))
    assert of_method["tierway, fitted"]["APGR"].value == pytest.approx(0.5, abs=0.1)


def test_folds_depend_on_the_group_alone() -> None:
    groups = [f"g{index}" for index in range(1000)]
    assert list(folds_of(groups)) == [fold_of(group) for group in groups]
    assert {int(fold) for fold in folds_of(groups)} == set(range(5))
    assert fold_of("67d217321cb50300") == fold_of("67d217321cb50300", 5)


def test_weights_of_each_fold_judge_that_fold(classifier, traffic) -> None:
    judgement = judge_pair(
        read_data_set(traffic), Base([classifier] * 5), PAIR, crossing=Crossing(folds=5), resamples=5
    )
    assert "each fold is judged by weights trained without it" in judgement.note


def test_set_that_the_weights_were_trained_on_is_said_to_be_one(base, tmp_path) -> None:
    data = read_data_set(write_rows(tmp_path / "seen.jsonl", make_rows(100)))
    assert "trained on rows of this set" in judge_pair(data, base, PAIR, resamples=5).note
    other = read_data_set(write_rows(tmp_path / "unseen.jsonl", make_rows(100)))
    assert judge_pair(other, base, PAIR, resamples=5).note == ""


def test_labels_and_bands_are_judged_where_the_data_have_them(base, tmp_path) -> None:
    rows = make_rows(100)
    for index, row in enumerate(rows):
        row["label"] = LABELS[index % 4]
        row["band_pass"] = [0, 0, 0, 0, 1] if index % 2 else [1, 1, 1, 1, 1]
    data = read_data_set(write_rows(tmp_path / "labelled.jsonl", rows))
    labels, bands = figures(judge_labels(data, base, 20)), figures(judge_bands(data, base, 20))
    assert labels["random"]["label accuracy"].value < 40
    assert set(labels) == {"random", "word count", "class rules", "tierway"}
    # Half of the quality is to be had for one percent of the cost, the other half only from the experts.
    assert bands["random"]["cost to 95 % of expert"].value == pytest.approx(1 + 99 * 0.9, abs=2)
    assert [judgement.question for judgement in judge(data, base, resamples=5)] == [
        "strong or weak",
        "five bands of models",
        "four labels",
    ]


def test_sets_with_bands_are_judged_together_none_drowning_the_others(base, tmp_path) -> None:
    def banded(name: str, count: int, bands: list[int]):
        rows = [row | {"band_pass": bands} for row in make_rows(count)]
        return read_data_set(write_rows(tmp_path / f"{name}.jsonl", rows))

    large, small = banded("large", 1200, [1, 1, 1, 1, 1]), banded("small", 1000, [0, 0, 0, 0, 1])
    together = judge_together([large, small], base, 5)
    assert (together.data_set, together.rows) == ("large + small", 2000)
    assert together.facts["band 1"] == pytest.approx(0.5)
    assert judge_together([large], base, 5) is None


def test_costs_of_the_data_are_used(base, tmp_path) -> None:
    (tmp_path / "models.json").write_text('{"priced": ["strong", "weak"]}')
    rows = [
        {"id": row["id"], "prompt": row["prompt"], "correct": [1, 0], "cost_usd": [2.0, 0.5]} for row in make_rows(50)
    ]
    judgement = judge_pair(read_data_set(write_rows(tmp_path / "priced.jsonl", rows)), base, PAIR, resamples=5)
    assert judgement.facts["weak price"] == pytest.approx(0.25)
    assert figures(judgement)["random"]["cost against all-strong"].value == pytest.approx(0.95 + 0.05 * 0.25)


def test_pair_that_nobody_named_is_the_best_and_the_median_model(tmp_path) -> None:
    rows = [
        {"id": str(index), "prompt": "p", "outcomes": {"a": 0, "b": 1, "c": index % 2, "d": 0.1}} for index in range(10)
    ]
    assert default_pair(read_data_set(write_rows(tmp_path / "four.jsonl", rows))) == PairNames(strong="b", weak="d")
    alone = [{"id": "1", "prompt": "p", "outcomes": {"a": 0}}]
    assert default_pair(read_data_set(write_rows(tmp_path / "one.jsonl", alone))) is None


def test_models_that_are_equally_good_have_no_gap_to_recover(base, tmp_path) -> None:
    rows = [row | {"outcomes": {"strong": 1, "weak": 1}} for row in make_rows(50)]
    judgement = judge_pair(read_data_set(write_rows(tmp_path / "equal.jsonl", rows)), base, PAIR, resamples=5)
    assert math.isnan(figures(judgement)["word count"]["APGR"].value)
