"""What a table refuses, each with its path."""

import math

import pytest

from tests.core.fleets import BY_CLASS, five_tiers, make_deployment, make_model, make_routing, make_table
from tierway_core import Complexity, Table, TableError


@pytest.mark.parametrize(
    ("changes", "path", "message"),
    [
        ({"name": ""}, "models[1].name", "must not be empty"),
        ({"name": "t1"}, "models[1].name", "'t1' is also the name of models[0]"),
        ({"tier": 0}, "models[1].tier", "must be 1 to 5, not 0"),
        ({"tier": 6}, "models[1].tier", "must be 1 to 5, not 6"),
        ({"compliance": 1.01}, "models[1].compliance", "must be 0 to 1, not 1.01"),
        ({"compliance": math.nan}, "models[1].compliance", "must be 0 to 1, not nan"),
        ({"input_picousd": -1}, "models[1].input_picousd", f"must be 0 to {2**63 - 1}, not -1"),
        ({"cached_input_picousd": -1}, "models[1].cached_input_picousd", f"must be 0 to {2**63 - 1}, not -1"),
        ({"output_picousd": 2**63}, "models[1].output_picousd", f"must be 0 to {2**63 - 1}, not {2**63}"),
        ({"ability": math.nan}, "models[1].ability", "must be -10 to 10, not nan"),
        ({"ability": 10.5}, "models[1].ability", "must be -10 to 10, not 10.5"),
        ({"ability_by_domain": {"code": -11}}, "models[1].ability_by_domain.code", "must be -10 to 10, not -11"),
        ({"ability_by_domain": {"": 0.0}}, "models[1].ability_by_domain", "must not be empty"),
        ({"deployments": ()}, "models[1].deployments", "at least one deployment is needed"),
        ({"deployments": (make_deployment(""),)}, "models[1].deployments[0].name", "must not be empty"),
        (
            {"deployments": (make_deployment("t1@x"),)},
            "models[1].deployments[0].name",
            "'t1@x' is the name of another deployment",
        ),
        (
            {"deployments": (make_deployment("d", context_tokens=0),)},
            "models[1].deployments[0].context_tokens",
            f"must be 1 to {2**31 - 1}, not 0",
        ),
        (
            {"deployments": (make_deployment("d", expected_latency_s=math.inf),)},
            "models[1].deployments[0].expected_latency_s",
            "must be 0 or more, and finite, not inf",
        ),
    ],
)
def test_a_model_that_is_not_sound_is_refused_by_its_path(changes, path, message):
    with pytest.raises(TableError) as caught:
        make_table(make_model("t1", 1), make_model(**{"name": "t2", "tier": 2} | changes))
    assert (caught.value.path, caught.value.message) == (path, message)
    assert str(caught.value) == f"{path}: {message}"


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"floors": {}}, "routing.floors.trivial"),
        ({"floors": BY_CLASS | {Complexity.SIMPLE: 6}}, "routing.floors.simple"),
        ({"floors": BY_CLASS | {Complexity.VISION: 5}}, "routing.floors.vision"),
        ({"expected_output_tokens": BY_CLASS | {Complexity.COMPLEX: 0}}, "routing.expected_output_tokens.complex"),
        ({"accurate_tier": 0}, "routing.accurate_tier"),
        ({"governance_tier": 6}, "routing.governance_tier"),
        ({"min_compliance": -0.1}, "routing.min_compliance"),
        ({"min_confidence": 1.1}, "routing.min_confidence"),
        ({"min_confidence": math.nan}, "routing.min_confidence"),
        ({"cost_quality": -0.1}, "routing.cost_quality"),
        ({"critical_agents": frozenset({""})}, "routing.critical_agents"),
        ({"task_types": {"": 1}}, "routing.task_types"),
        ({"task_types": {"legal": 9}}, "routing.task_types.legal"),
        ({"governance_terms": ("fine", "...")}, "routing.governance_terms[1]"),
        ({"governance_terms": ("a b c d e",)}, "routing.governance_terms[0]"),
    ],
)
def test_rules_that_are_not_sound_are_refused_by_their_path(changes, path):
    with pytest.raises(TableError) as caught:
        make_table(make_model("t1", 1), **changes)
    assert caught.value.path == path


def test_a_table_without_models_is_refused():
    with pytest.raises(TableError, match="models: at least one"):
        Table([], make_routing())


def test_deployments_are_flat_and_in_order():
    table = make_table(make_model("a", 1, places=("x", "y")), make_model("b", 2))
    assert [(d.index, d.model.name, d.spec.name) for d in table.deployments] == [
        (0, "a", "a@x"),
        (1, "a", "a@y"),
        (2, "b", "b@x"),
    ]
    assert (table.deployments_of("a"), table.deployments_of("b")) == ((0, 1), (2,))
    assert (table.model_index("b"), table.models[1].name) == (1, "b")


def test_a_table_does_not_follow_later_changes_of_what_it_was_made_from():
    floors = dict(BY_CLASS)
    abilities = {"code": 1.0}
    models = [make_model("t0", 1, ability_by_domain=abilities), *five_tiers()]
    table = make_table(*models, floors=floors)
    floors[Complexity.TRIVIAL] = 5
    abilities["code"] = 5.0
    models.clear()
    assert (table.routing.floors[Complexity.TRIVIAL], len(table.models)) == (1, 6)
    assert table.models[0].ability_by_domain["code"] == 1.0


def test_models_can_be_members_of_sets():
    assert len({make_model("a", 1, ability_by_domain={"code": 1.0}), make_model("a", 1)}) == 2


def test_nothing_of_a_table_can_be_set():
    table = make_table(*five_tiers())
    with pytest.raises(AttributeError):
        table.models = ()
    with pytest.raises(TypeError):
        table.routing.floors[Complexity.TRIVIAL] = 5
