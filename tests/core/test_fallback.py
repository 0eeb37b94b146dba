from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.fleets import make_deployment, make_model, make_state, make_table
from tierway_core import Request, Router, TableError, UnknownModelError
from tierway_core.chain import CYCLES_NAMED, cycles, follow
from tierway_core.reference import ReferenceRouter

graphs = st.integers(1, 5).flatmap(
    lambda nodes: st.lists(st.lists(st.integers(0, nodes - 1), unique=True), min_size=nodes, max_size=nodes)
)
"""Who follows whom, among up to five."""


def chained(**fallbacks):
    return [
        make_model(name, 1, 1000 + index, fallback=tuple(after))
        for index, (name, after) in enumerate(fallbacks.items())
    ]


@pytest.mark.parametrize(
    ("fallbacks", "path", "cycle"),
    [
        ({"a": "a"}, "models[0].fallback[0]", "a -> a"),
        ({"a": "b", "b": "a"}, "models[1].fallback[0]", "a -> b -> a"),
        ({"a": "b", "b": "c", "c": "b"}, "models[2].fallback[0]", "b -> c -> b"),
        ({"a": "", "b": "ad", "c": "b", "d": "ac"}, "models[2].fallback[0]", "b -> d -> c -> b"),
        ({"a": "b", "b": "a", "c": "d", "d": "cd"}, "models[1].fallback[0]", "a -> b -> a; c -> d -> c; d -> d"),
        ({"a": "bc", "b": "ca", "c": "a"}, "models[2].fallback[0]", "a -> b -> c -> a; a -> b -> a; a -> c -> a"),
    ],
)
def test_every_cycle_is_refused_and_named_whole(fallbacks, path, cycle):
    with pytest.raises(TableError) as caught:
        make_table(*chained(**fallbacks))
    assert (caught.value.path, caught.value.message) == (path, f"cyclic fallback: {cycle}")


@pytest.mark.parametrize(("models", "more"), [(4, ""), (5, "64 more"), (30, "more than 980 more")])
def test_where_there_are_many_cycles_the_first_are_named_and_the_others_counted(models, more):
    everything = "".join(chr(ord("A") + index) for index in range(models))
    with pytest.raises(TableError) as caught:
        make_table(*chained(**{name: everything.replace(name, "") for name in everything}))
    named, _, others = caught.value.message.partition("; and ")
    assert (len(named.split("; ")), others) == (CYCLES_NAMED, more)


@given(graphs)
def test_cycles_are_those_that_trying_every_path_finds(edges):
    def tried():
        for length in range(1, len(edges) + 1):
            for path in permutations(range(len(edges)), length):
                if path[0] == min(path) and all(b in edges[a] for a, b in zip(path, (*path[1:], path[0]), strict=True)):
                    yield path

    assert sorted(cycles(edges)) == sorted(tried())


@given(graphs, st.data())
def test_a_walk_tries_no_deployment_twice_and_never_the_chosen_one(edges, data):
    acyclic = [[after for after in followers if after > node] for node, followers in enumerate(edges)]
    table = make_table(
        *(
            make_model(f"m{node}", 1, node, places=("x", "y"), fallback=tuple(f"m{after}" for after in followers))
            for node, followers in enumerate(acyclic)
        )
    )
    unavailable = data.draw(
        st.sets(st.sampled_from(range(len(table.deployments))), max_size=len(table.deployments) - 1)
    )
    state = make_state(table, unavailable=sorted(unavailable))
    for router in (Router(table, state), ReferenceRouter(table, state)):
        decision = router.decide(Request("hi"))
        walk = (decision.deployment, *decision.fallback)
        assert len(set(walk)) == len(walk)
        assert not unavailable & set(walk)


def test_following_ends_on_a_cyclic_graph_too():
    assert list(follow([[1], [2, 0], [0, 1, 2]], 0)) == [1, 2]


def test_an_unknown_model_in_a_chain_is_refused():
    with pytest.raises(TableError) as caught:
        make_table(*chained(a="", b="ax"))
    assert (caught.value.path, caught.value.message) == ("models[1].fallback[1]", "there is no model 'x'")


def test_a_model_twice_in_one_list_is_refused():
    with pytest.raises(TableError, match=r"models\[1\]\.fallback\[1\]: 'a' is listed twice"):
        make_table(*chained(a="", b="aa"))


def test_the_chain_of_an_unknown_model_is_an_error():
    with pytest.raises(UnknownModelError):
        make_table(make_model("a", 1)).chain("b")


def test_the_chain_is_depth_first_and_has_each_model_once():
    table = make_table(*chained(a="be", b="cd", c="", d="c", e="df", f=""))
    assert table.chain("a") == ("b", "c", "d", "e", "f")
    assert table.chain("c") == ()


def test_a_chain_of_a_thousand_models_is_followed():
    names = [f"m{index}" for index in range(1000)]
    models = [make_model(name, 1, fallback=tuple(names[index + 1 : index + 2])) for index, name in enumerate(names)]
    assert make_table(*models).chain("m0") == tuple(names[1:])


def test_own_deployments_follow_first_then_the_chain(decide):
    table = make_table(
        make_model("a", 1, 1, places=("x", "y", "z"), fallback=("c", "b")),
        make_model("b", 1, 2),
        make_model("c", 1, 3, places=("x", "y")),
    )
    decision = decide("hi", table, in_flight={0: 1})
    assert (decision.deployment, decision.fallback) == (1, (0, 2, 4, 5, 3))
    assert decision.fallback_models == ("c", "b")


def test_what_a_filter_struck_does_not_follow(decide):
    table = make_table(
        make_model("a", 1, 1, places=("x", "y"), fallback=("b", "c", "d")),
        make_model("b", 1, 2),
        make_model("c", 4, 3),
        make_model("d", 2, 3, deployments=(make_deployment("d@x", expected_latency_s=9.0), make_deployment("d@y"))),
    )
    decision = decide("hi", table, unavailable=[1, 2], max_tier=3, latency_budget_s=1.0)
    assert (decision.fallback, decision.fallback_models) == ((5,), ("d",))


def test_the_chain_goes_on_past_a_model_that_is_struck(decide):
    table = make_table(*chained(a="b", b="c", c=""))
    assert decide("hi", table, unavailable=[1]).fallback_models == ("c",)


def test_nothing_follows_where_the_request_forbids_it(decide):
    decision = decide("hi", make_table(*chained(a="b", b="")), allow_fallback=False)
    assert (decision.fallback, decision.fallback_models) == ((), ())
