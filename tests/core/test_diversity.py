from itertools import product
from math import log2, prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.fleets import make_deployment, make_model, make_table
from tierway_core.diversity import Chain, Source, diversity


def placed(name, *providers, fallback=()):
    """A model with a deployment at each of these providers."""
    return make_model(
        name,
        1,
        deployments=tuple(
            make_deployment(f"{name}@{place}-{provider}", provider=provider) for place, provider in enumerate(providers)
        ),
        fallback=fallback,
    )


def chains(*models, **availabilities):
    """The chains of a fleet whose sources are its providers."""
    table = make_table(*models)
    sources = [
        Source(name=each.spec.provider, availability=availabilities.get(each.spec.provider, 0.9))
        for each in table.deployments
    ]
    return {chain.model: chain for chain in diversity(table, sources)}


def test_one_provider_is_a_single_point_of_failure():
    chain = chains(placed("a", "groq", "groq"), groq=0.99)["a"]
    assert chain == Chain(
        model="a",
        models=("a",),
        providers=(("groq", 2),),
        entropy_bits=0.0,
        single_points=("groq",),
        availability=pytest.approx(0.99),
    )
    assert chain.downtime_minutes == pytest.approx(432)  # a hundredth of 30 days of 1,440 minutes


def test_two_providers_are_down_together_by_chance_alone():
    chain = chains(placed("a", "groq", fallback=("b",)), placed("b", "openrouter"), groq=0.99, openrouter=0.995)["a"]
    assert chain.single_points == ()
    assert chain.entropy_bits == 1.0
    assert chain.availability == pytest.approx(0.99995)  # 1 - 0.01 * 0.005
    assert chain.downtime_minutes == pytest.approx(2.16)


def test_entropy_counts_deployments():
    chain = chains(placed("a", "x", "x", "x", fallback=("b",)), placed("b", "y"))["a"]
    assert chain.providers == (("x", 3), ("y", 1))
    assert chain.entropy_bits == pytest.approx(-(0.75 * log2(0.75) + 0.25 * log2(0.25)))  # 0.811


def test_the_chain_is_followed_to_its_end_and_says_so():
    found = chains(placed("a", "x", fallback=("b",)), placed("b", "x", fallback=("c",)), placed("c", "y"))
    assert found["a"].models == ("a", "b", "c")
    assert [found[name].single_points for name in "abc"] == [(), (), ("y",)]


def test_engines_fail_apart_and_share_their_provider():
    table = make_table(placed("a", "vllm", fallback=("b",)), placed("b", "vllm"))
    first, last = diversity(table, [Source(name="small", availability=0.9), Source(name="large", availability=0.8)])
    assert (first.single_points, first.availability) == (("vllm",), pytest.approx(0.98))
    assert (last.single_points, last.availability) == (("large", "vllm"), pytest.approx(0.8))


def test_a_deployment_that_fails_for_itself_leaves_the_others_of_its_provider():
    own = (
        make_deployment("a@1", provider="x", availability=0.5),
        make_deployment("a@2", provider="x", availability=0.8),
    )
    chain = chains(make_model("a", 1, deployments=own), x=0.9)["a"]
    assert chain.availability == pytest.approx(0.81)  # 0.9 * (1 - 0.5 * 0.2)


@given(
    places=st.lists(st.tuples(st.sampled_from("xyz"), st.floats(0, 1)), min_size=1, max_size=5),
    availabilities=st.fixed_dictionaries({name: st.floats(0, 1) for name in "xyz"}),
)
def test_availability_is_what_counting_every_combination_of_failures_gives(places, availabilities):
    deployments = tuple(
        make_deployment(f"a@{number}", provider=provider, availability=own)
        for number, (provider, own) in enumerate(places)
    )
    chain = chains(make_model("a", 1, deployments=deployments), **availabilities)["a"]
    shares = [*(availabilities[name] for name in "xyz"), *(own for _, own in places)]
    up = 0.0
    for states in product((False, True), repeat=len(shares)):
        working = dict(zip("xyz", states[:3], strict=True))
        if any(working[provider] and state for (provider, _), state in zip(places, states[3:], strict=True)):
            up += prod(share if state else 1 - share for share, state in zip(shares, states, strict=True))
    assert chain.availability == pytest.approx(up, abs=1e-12)
    names = [provider for provider, _ in places]
    assert set(chain.single_points) == {name for name in names if not set(names) - {name}}
