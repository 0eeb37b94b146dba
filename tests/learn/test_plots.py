import pytest

from tests.learn.outcomes import make_rows, write_rows
from tierway_learn import Base, PairNames, judge_labels, judge_pair, read_data_set
from tierway_learn.plots import draw

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def judgement(classifier, traffic):
    return judge_pair(read_data_set(traffic), Base([classifier]), PairNames(strong="strong", weak="weak"), resamples=5)


def test_curves_are_drawn_as_png_and_as_a_page_of_its_own(judgement, tmp_path) -> None:
    png, html = draw(judgement, tmp_path / "curves")
    assert png.read_bytes().startswith(PNG)
    page = html.read_text(encoding="utf-8")
    assert {png.name, html.name} == {"traffic-strong-or-weak.png", "traffic-strong-or-weak.html"}
    for judged in judgement.judged:
        assert judged.method in page
    assert 'src="http' not in page


def test_judgement_without_curves_draws_nothing(classifier, tmp_path) -> None:
    rows = [row | {"label": "SIMPLE"} for row in make_rows(20)]
    data = read_data_set(write_rows(tmp_path / "labels.jsonl", rows))
    assert draw(judge_labels(data, Base([classifier]), 5), tmp_path / "curves") == []
    assert not (tmp_path / "curves").exists()
