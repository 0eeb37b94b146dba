"""The drills with providers, small: what they claim holds, and they would see it if it did not."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest

from tierway_bench import added_latency, fallback_drill, remote_ways, takeover
from tierway_bench.added_latency import DIRECT, Shape, Times
from tierway_bench.fallback_drill import Outcome
from tierway_bench.mock_provider import Faults, answer_to, mock_provider, story
from tierway_bench.remote_calls import Told
from tierway_bench.soak import Sample, Soak


def grown(*rss_mib: float) -> Soak:
    """A soak with these samples."""
    samples = [Sample(5_000 * place, mib, 20, 8) for place, mib in enumerate(rss_mib, 1)]
    return Soak(samples, Outcome(requests=100_000))


@pytest.mark.parametrize("begun", [0, 1, 7, 40])
def test_a_story_that_was_begun_goes_on_to_its_end(begun):
    whole = "".join(story("once", 32))
    assert whole[:begun] + answer_to("once", whole[:begun], True, 32).text == whole
    assert story("once", 32) == story("once", 32) != story("twice", 32)


async def test_a_cut_stream_is_never_whole():
    cuts = []
    async with mock_provider(8, Faults(cuts=1.0), cut=lambda: cuts.append(1)) as port, aiohttp.ClientSession() as http:
        for number in range(20):
            body = {"stream": True, "messages": [{"role": "user", "content": f"Story {number}"}]}
            with pytest.raises(aiohttp.ClientPayloadError):
                async with http.post(f"http://127.0.0.1:{port}/v1/chat/completions", json=body) as reply:
                    await reply.read()
    assert len(cuts) == 20


@pytest.mark.parametrize("kind", takeover.KINDS)
async def test_no_cut_loses_or_doubles_a_character(kind, tmp_path: Path):
    outcome = await takeover.drill(kind, tmp_path, cuts=60, timed=5, in_flight=4)
    assert (outcome.cuts, outcome.right, outcome.errors) == (65, 65, {})
    assert outcome.taken_over > 30
    assert len(outcome.gaps_s) > 0


@pytest.mark.parametrize("has_breakers", [True, False])
def test_callers_see_nothing_of_a_provider_that_is_down_and_one_that_flaps(has_breakers):
    outcome = fallback_drill.run(200, 4, has_breakers=has_breakers)
    assert outcome.is_good
    assert outcome.requests == 200
    assert outcome.failed_over > (0 if has_breakers else 199)


def test_a_drill_that_fails_says_so():
    outcome = Outcome()
    for told in (Told(is_right=True), Told(is_right=True, failed_over=1), Told(), Told(error="INTERNAL: no")):
        outcome.count(told)
    assert (outcome.fallback_share, outcome.error_share, outcome.is_good) == (1 / 3, 0.5, False)


def test_memory_that_rises_steadily_is_seen():
    flat = [100.0 + 0.1 * (place % 2) for place in range(20)]
    assert grown(*flat).grown(32) == []
    assert grown(*(100.0 + place for place in range(20))).grown(32) == ["memory grew by 8.2%"]


def test_whatever_is_left_at_the_end_is_seen():
    soak = grown(*[100.0] * 20)
    soak.in_flight, soak.to_providers = 2, 100
    assert soak.grown(32) == ["2 slots are held", "100 connections to providers are open"]


@pytest.mark.parametrize("is_streaming", [False, True])
async def test_every_way_has_as_many_turns(is_streaming):
    async with mock_provider(4) as port:
        url = f"http://127.0.0.1:{port}/v1"
        ways = {
            DIRECT: remote_ways.raw_http(url, is_streaming=is_streaming),
            "SDK": remote_ways.openai_sdk(url, is_streaming=is_streaming),
        }
        times = await added_latency.measure(ways, 2, Shape(rounds=3, requests=4, warm_up=1))
    assert {name: len(each.whole_s) for name, each in times.items()} == {DIRECT: 12, "SDK": 12}
    assert all(
        first <= whole for each in times.values() for first, whole in zip(each.first_s, each.whole_s, strict=True)
    )


async def test_a_way_that_brings_no_answer_is_no_measurement():
    async with mock_provider(4, Faults(errors=1.0)) as port:
        ways = {DIRECT: remote_ways.raw_http(f"http://127.0.0.1:{port}/v1", is_streaming=True)}
        with pytest.raises(ExceptionGroup) as failure:
            await added_latency.measure(ways, 1, Shape(rounds=1, requests=1))
    assert failure.group_contains(remote_ways.WrongAnswerError)


def test_what_is_added_is_the_difference_of_the_medians():
    times = {DIRECT: Times([0.001] * 3, [0.002] * 3), "Tierway": Times([0.0015] * 3, [0.0028] * 3)}
    row = added_latency.report("ms", times, is_streaming=True).splitlines()[-1].split()
    assert row == ["Tierway", "1.50", "+0.50", "1.50", "+0.50", "2.80", "+0.80", "2.80", "+0.80"]
