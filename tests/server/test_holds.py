"""Providers that ask to be left alone: their deployments are left out until then, and the refusal is none of the caller's quota."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable

import pytest

from tests.core.fleets import make_deployment, make_model, make_table
from tests.server.asking import TRIVIAL
from tierway_core import Decision, LimitSpec, Prefixes, ReasonCode, Request, Router, Table
from tierway_core.grants import new_state
from tierway_server.backends.base import Availability, Chunk, Generation
from tierway_server.config import QueueConfig
from tierway_server.config.policy_specs import provider_limit_spec
from tierway_server.deciding import Deciding
from tierway_server.errors import ProviderFailedError, ProviderOverloadedError, RateLimitedError, TierwayError
from tierway_server.flow.admission import Admission
from tierway_server.flow.budgets import Budgets
from tierway_server.flow.decide import Decider
from tierway_server.flow.deployments import Deployments
from tierway_server.flow.holds import MOST_S, Holds
from tierway_server.flow.limits import Limits
from tierway_server.flow.queues import Queues
from tierway_server.flow.standing import Standing
from tierway_server.telemetry.metrics import Metrics

SECOND_NS = 10**9
LATER = 1e9


class Always:
    """A backend that is there, and is never asked."""

    capacity = 2
    availability = Availability(True)
    idle_timeout_s = None
    will_return = False

    def watch(self, changed: Callable[[Availability], None]) -> None:
        changed(self.availability)

    def generate(self, generation: Generation) -> AsyncGenerator[Chunk, None]:
        raise AssertionError("nothing is generated here")

    async def run(self) -> None:
        """Nothing to keep alive."""


class Fleet:
    """Two remote models of two providers, the second the fallback of the first."""

    def __init__(self, *providers: str) -> None:
        self.now_ns = SECOND_NS
        models = [
            make_model(
                f"m{place}",
                1,
                1000 + place,
                deployments=(make_deployment(f"d{place}", provider=name, limits=("quota", f"provider:{name}")),),
                fallback=tuple(f"m{behind}" for behind in range(place + 1, len(providers))),
            )
            for place, name in enumerate(providers)
        ]
        quota = LimitSpec(name="quota", requests=1, period_s=1e6, burst=3)
        self.table: Table = make_table(*models, limits=(quota, *map(provider_limit_spec, providers)))
        self.state = new_state(self.table)
        backends = {place: Always() for place in range(len(providers))}
        deployments = Deployments(self.table, self.state, backends, {})
        metrics = Metrics()
        limits = Limits(self.table, self.state, metrics, lambda: self.now_ns)
        budgets = Budgets(self.table, self.state, metrics)
        self.holds = Holds(self.table, self.state, lambda: self.now_ns)
        queues = Queues(self.table, self.state, deployments, QueueConfig(), [0] * len(providers), metrics)
        self.admission = Admission(
            self.table,
            self.state,
            deployments,
            queues,
            limits,
            budgets,
            Prefixes(),
            self.holds,
            metrics,
            now_ns=lambda: self.now_ns,
        )
        router = Router(self.table, self.state)
        self.decider = Decider(
            Deciding(router), self.table, deployments, limits, budgets, "", metrics, now_ns=lambda: self.now_ns
        )

    def decide(self) -> Decision:
        return self.decider.decide(Request(TRIVIAL))

    async def try_that_fails(self, failure: TierwayError, index: int = 0) -> None:
        decision = self.decide()
        with pytest.raises(type(failure)):
            async with self.admission.admitted(index, decision, LATER):
                raise failure


def overloaded(retry_after_s: float | None) -> ProviderOverloadedError:
    return ProviderOverloadedError("too many requests", retry_after_s=retry_after_s)


async def test_a_provider_is_left_alone_for_as_long_as_it_asks() -> None:
    fleet = Fleet("one", "two")
    await fleet.try_that_fails(overloaded(20.0))
    decision = fleet.decide()
    assert (decision.model.name, decision.filtered[0]) == ("m1", ReasonCode.FILTERED_RATE_LIMIT)
    fleet.now_ns += 20 * SECOND_NS
    assert fleet.decide().model.name == "m0"


async def test_a_long_hold_ends_before_the_provider_says() -> None:
    fleet = Fleet("one", "two")
    await fleet.try_that_fails(overloaded(86_400.0))
    fleet.now_ns += round(MOST_S * SECOND_NS) - 1
    assert fleet.decide().model.name == "m1"
    fleet.now_ns += 1
    assert fleet.decide().model.name == "m0"


@pytest.mark.parametrize(
    "failure",
    [overloaded(None), overloaded(0.0), ProviderFailedError("it failed", retry_after_s=9.0)],
    ids=["says nothing", "says at once", "is not overloaded"],
)
async def test_other_failures_hold_nothing(failure: TierwayError) -> None:
    fleet = Fleet("one")
    await fleet.try_that_fails(failure)
    assert fleet.decide().model.name == "m0"


async def test_a_header_that_says_that_nothing_is_left_holds_too() -> None:
    fleet = Fleet("one", "two")
    fleet.holds.hold("one", 5.0)
    fleet.holds.hold("none of ours", 5.0)
    assert fleet.decide().model.name == "m1"


async def test_deployments_of_a_provider_are_held_together() -> None:
    fleet = Fleet("one", "two")
    fleet.holds.hold("one", 5.0)
    fleet.holds.hold("two", 7.0)
    with pytest.raises(ProviderOverloadedError) as caught:
        fleet.decide()
    # By the one that is free first; and no quota of the caller's is to blame.
    assert caught.value.retry_after_s == pytest.approx(5.0)
    assert caught.value.metadata == {"provider": "one"}


async def test_a_hold_that_began_after_the_decision_refuses_the_try_and_takes_nothing() -> None:
    fleet = Fleet("one")
    decision = fleet.decide()
    fleet.holds.hold("one", 5.0)
    with pytest.raises(ProviderOverloadedError):
        async with fleet.admission.admitted(0, decision, LATER):
            pytest.fail("nothing is admitted")
    assert fleet.state.in_flight(0) == 0
    fleet.now_ns += 5 * SECOND_NS
    for _ in range(3):  # the whole burst of the operator's limit is there
        fleet.now_ns += 1
        async with fleet.admission.admitted(0, decision, LATER):
            pass
    fleet.now_ns += 1
    with pytest.raises(RateLimitedError):
        async with fleet.admission.admitted(0, decision, LATER):
            pytest.fail("nothing is admitted")


def test_a_providers_own_limit_is_none_of_those_that_are_shown() -> None:
    fleet = Fleet("one")
    assert [limit.name for limit in Standing(fleet.table, fleet.state).limits()] == ["quota"]
