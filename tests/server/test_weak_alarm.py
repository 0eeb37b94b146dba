"""The alarm of escalation: when so many of the latest answers are weak, when no longer, and how often it says so."""

from __future__ import annotations

import logging

import pytest

from tests.server.layered import UNSURE, Layered, tokens
from tests.server.running import serving
from tests.server.test_escalation import FAST, GOOD, LOOK_AHEAD, fleet
from tierway.v1 import router_service_pb2 as rpc
from tierway_server.flow.weak_alarm import CALM, LATEST, LEAST, QUIET_S, WeakAlarm
from tierway_server.telemetry import semconv
from tierway_server.telemetry.metrics import Metrics

SHARE = 0.1
LINE = "many weak answers"


class Watched:
    """An alarm on a clock of its own."""

    def __init__(self, share: float = SHARE) -> None:
        self.now_s = 0.0
        self._metrics = Metrics()
        self._alarm = WeakAlarm(share, self._metrics, lambda: self.now_s)

    def judged(self, *, weak: int = 0, good: int = 0) -> None:
        for is_weak in [False] * good + [True] * weak:
            self._alarm.judged(is_weak=is_weak)

    @property
    def is_raised(self) -> bool:
        return self._metrics.registry.get_sample_value(semconv.WEAK_ALARM) == 1


def lines(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.message == LINE]


def test_it_is_raised_above_the_share_and_not_at_it() -> None:
    watched = Watched()
    watched.judged(good=180, weak=20)
    assert not watched.is_raised
    watched.judged(weak=1)  # a good one is forgotten for it
    assert watched.is_raised


def test_of_too_few_it_says_nothing() -> None:
    watched = Watched()
    watched.judged(weak=LEAST - 1)
    assert not watched.is_raised
    watched.judged(weak=1)
    assert watched.is_raised


def test_it_goes_by_the_latest_alone() -> None:
    watched = Watched()
    watched.judged(weak=LATEST)
    watched.judged(good=LATEST)
    assert not watched.is_raised
    watched.judged(weak=round(SHARE * LATEST))
    assert not watched.is_raised


def test_it_ends_at_half_of_the_share_so_that_it_does_not_flutter(caplog: pytest.LogCaptureFixture) -> None:
    watched = Watched()
    watched.judged(good=LATEST)
    watched.judged(weak=21)
    watched.judged(good=LATEST - 11)  # ten of them are forgotten
    assert watched.is_raised
    watched.judged(good=1)
    assert not watched.is_raised
    assert CALM * SHARE * LATEST == 10
    assert len(lines(caplog)) == 1


def test_it_says_so_once_in_a_while_however_long_it_lasts(caplog: pytest.LogCaptureFixture) -> None:
    watched = Watched()
    watched.judged(weak=LATEST)
    watched.judged(good=LATEST)
    watched.judged(weak=LATEST)  # again
    assert len(lines(caplog)) == 1
    watched.now_s = QUIET_S
    watched.judged(weak=2)
    [first, second] = lines(caplog)
    assert (first.levelname, first.weak_share, first.alert_share, first.judged) == ("WARNING", 1.0, SHARE, LEAST)
    assert second.weak_share == 1.0


def test_a_share_of_one_never_raises_it() -> None:
    watched = Watched(share=1.0)
    watched.judged(weak=LATEST)
    assert not watched.is_raised


async def test_escalation_feeds_it() -> None:
    layers = Layered(fleet(), LOOK_AHEAD)
    weak = tokens("It", " may", logprob=UNSURE)
    for _ in range(LEAST):
        layers.engines["fast"].script(*weak)
        layers.engines["balanced"].script(*GOOD)
        await layers.events(layers.job(asked=FAST))
    assert layers.counted(semconv.WEAK_ALARM) == 1


async def test_get_stats_tells_of_it_and_of_what_was_escalated() -> None:
    document = fleet(escalation={"enabled": True, "max_share": 1.0, **LOOK_AHEAD})
    async with serving(document) as server:
        server.process.metrics.weak_alarm(is_raised=True)
        for _ in range(3):
            server.engine("fast").script(*GOOD)
            await server.router.Execute(rpc.ExecuteRequest(query={"prompt": "Hello"}, preferences={"min_tier": 2}))
        server.engine("fast").script(*tokens("It", " may", logprob=UNSURE))
        server.engine("balanced").script(*GOOD)
        await server.router.Execute(rpc.ExecuteRequest(query={"prompt": "Hello"}, preferences={"min_tier": 2}))
        answers = (await server.router.GetStats(rpc.GetStatsRequest())).answers
        assert (answers.judged, answers.weak, answers.escalated, answers.forgone) == (4, 1, 1, 0)
        assert answers.escalation_share == 0.25
        assert answers.weak_alarm
