"""The section `routing.classifier`, abilities, and the files that they speak of."""

import pytest

from tests.core.networks import DOMAINS, make_header, make_tensors
from tierway_core import Weights
from tierway_core.weights import dump
from tierway_server.config import ConfigError, calibration_path, load_weights, parse

LAW = {"ability_by_domain": {"law": 1.0}}


@pytest.fixture
def own_weights(tmp_path):
    path = tmp_path / "own.weights"
    path.write_bytes(dump(make_header(), make_tensors()))
    return path


@pytest.mark.parametrize(
    ("section", "complaint"),
    [
        ({"min_confidence": 1.5}, "routing.classifier.min_confidence: must be at most 1"),
        ({"enabled": "yes"}, "routing.classifier.enabled: must be true or false, not text"),
        ({"weights": ""}, "routing.classifier.weights: must not be empty"),
        ({"calibration": "${A"}, 'routing.classifier.calibration: "${" must begin a variable'),
        ({"calibration_check_s": 0}, "routing.classifier.calibration_check_s: must be above 0"),
        ({"calibraton": "x"}, 'routing.classifier.calibraton: unknown key; did you mean "calibration"?'),
    ],
)
def test_a_wrong_section_is_told_by_its_path(small, problems, section, complaint):
    small["routing"] = {"classifier": section}
    [problem] = problems(small)
    assert problem.startswith(complaint)


def test_the_dial_is_a_share(small, problems):
    small["routing"] = {"cost_quality": -0.1}
    assert problems(small) == ["routing.cost_quality: must be at least 0"]


@pytest.mark.parametrize("model", [{"ability": 11}, {"ability_by_domain": {"law": -11}}])
def test_an_ability_is_on_the_scale(small, problems, model):
    small["models"][0] |= model
    [problem] = problems(small)
    assert problem.startswith("models[0].ability")


def test_a_misspelt_domain_is_told_with_a_suggestion(small, problems):
    small["models"][1]["ability_by_domain"] = {"histroy": 1.0}
    assert problems(small) == ['models[1].ability_by_domain.histroy: unknown domain "histroy"; did you mean "history"?']


def test_an_unknown_domain_is_told_with_those_that_there_are(small, problems):
    small["models"][1]["ability_by_domain"] = {"xyz": 1.0}
    [problem] = problems(small)
    assert problem.startswith('models[1].ability_by_domain.xyz: unknown domain "xyz"; there is "')
    assert all(f'"{domain}"' in problem for domain in Weights.default().domains)


def test_domains_of_other_weights_are_known_when_these_are_loaded(small, own_weights):
    small["routing"] = {"classifier": {"weights": str(own_weights)}}
    small["models"][0]["ability_by_domain"] = {DOMAINS[0]: 1.0}
    assert load_weights(parse(small), {}).domains == DOMAINS
    small["models"][1] |= LAW
    with pytest.raises(ConfigError) as caught:
        load_weights(parse(small), {})
    assert str(caught.value).startswith('models[1].ability_by_domain.law: unknown domain "law"')


def test_weights_are_the_shipped_ones_unless_stated(small):
    assert load_weights(parse(small), {}).identity == Weights.default().identity


def test_paths_expand_variables(small, own_weights):
    small["routing"] = {"classifier": {"weights": "${F}/own.weights", "calibration": "${F}/calibration.json"}}
    config, environ = parse(small), {"F": str(own_weights.parent)}
    assert load_weights(config, environ).identity == Weights.load(own_weights).identity
    assert calibration_path(config, environ) == own_weights.parent / "calibration.json"
    with pytest.raises(ConfigError, match=r"routing\.classifier\.weights: F is not set"):
        load_weights(config, {})


def test_turned_off_it_needs_no_file(small):
    small["routing"] = {"classifier": {"enabled": False, "weights": "/nowhere", "calibration": "/nowhere"}}
    config = parse(small)
    assert (load_weights(config, {}), calibration_path(config, {})) == (None, None)
