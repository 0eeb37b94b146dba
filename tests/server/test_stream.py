import asyncio
from itertools import repeat

import grpc
import pytest

from tests.server.asking import kinds_of, remaining, stream, text_of
from tests.server.conftest import Serve
from tests.server.fleet import CAPACITY, five_tiers, only
from tests.server.refusal import refusal_of, refused
from tests.server.running import RunningServer, until
from tests.server.scripted_engine import INPUT_TOKENS
from tierway.v1 import types_pb2 as pb
from tierway_server.backends.base import Chunk, FinishReason, TokenLogprob, Usage
from tierway_server.errors import EngineLostError, InvalidRequestError, StreamBrokenError


async def test_events_come_in_order_and_tokens_one_by_one(server: RunningServer) -> None:
    events = await server.stream(stream(request_id="mine"))
    assert kinds_of(events) == ["started", "delta", "delta", "delta", "finished"]
    started, finished = events[0].started, events[-1].finished
    assert (started.request_id, started.decision.model) == ("mine", "nano")
    assert text_of(events) == "Paris it is."
    assert sum(event.delta.token_count for event in events) == finished.usage.output_tokens == 3
    assert finished.usage.input_tokens == INPUT_TOKENS
    assert finished.finish_reason == pb.FINISH_REASON_STOP
    assert not finished.HasField("confidence")
    assert [attempt.outcome for attempt in finished.attempts] == [pb.ATTEMPT_OUTCOME_ANSWERED]
    await server.until_idle()


async def test_the_decision_comes_before_the_first_token_is_there(server: RunningServer) -> None:
    gate = asyncio.Event()
    server.engine().script(gate, "late")
    call = server.router.Stream(stream())
    assert (await call.read()).started.decision.model == "nano"
    gate.set()
    assert kinds_of(await remaining(call)) == ["delta", "finished"]


async def test_each_token_comes_when_it_is_there(server: RunningServer) -> None:
    gates = [asyncio.Event(), asyncio.Event()]
    server.engine().script("one", gates[0], "two", gates[1], "three")
    call = server.router.Stream(stream())
    assert (await call.read()).HasField("started")
    assert (await call.read()).delta.text == "one"
    for gate, text in zip(gates, ("two", "three"), strict=True):
        gate.set()
        assert (await call.read()).delta.text == text
    assert kinds_of(await remaining(call)) == ["finished"]


async def test_an_incomplete_character_is_an_empty_delta(server: RunningServer) -> None:
    server.engine().script(Chunk("", 1), "é")
    deltas = [event.delta for event in await server.stream(stream()) if event.HasField("delta")]
    assert [(delta.text, delta.token_count) for delta in deltas] == [("", 1), ("é", 1)]


async def test_logprobs_come_with_their_tokens(server: RunningServer) -> None:
    entry = TokenLogprob("a", -0.5, (("a", -0.5),))
    server.engine("fast").script(Chunk("aa", 2, (entry, entry), FinishReason.STOP, Usage(1, 0, 2)))
    events = await server.stream(stream(sampling=pb.Sampling(top_logprobs=1)))
    assert [(each.token, each.logprob) for each in events[1].delta.logprobs] == [("a", -0.5)] * 2


class TestFallback:
    async def test_before_the_first_token_is_told_and_followed(self, server: RunningServer) -> None:
        server.engine("nano").script(EngineLostError("gone"))
        events = await server.stream(stream())
        assert kinds_of(events) == ["started", "attempt", "delta", "delta", "delta", "finished"]
        attempt = events[1].attempt
        assert (attempt.model, attempt.deployment, attempt.reason) == ("nano", "nano@nano", "ENGINE_LOST")
        assert attempt.outcome == pb.ATTEMPT_OUTCOME_FELL_BACK
        assert [attempt.model for attempt in events[-1].finished.attempts] == ["nano", "fast"]

    async def test_after_the_first_token_the_next_goes_on_and_the_seam_is_told(self, server: RunningServer) -> None:
        server.engine("nano").script("Par", StreamBrokenError("gone"))
        server.engine("fast").script("is", " it is.")
        events = await server.stream(stream())
        assert kinds_of(events) == ["started", "delta", "attempt", "delta", "delta", "finished"]
        attempt = events[2].attempt
        assert (attempt.model, attempt.outcome, attempt.reason) == (
            "nano",
            pb.ATTEMPT_OUTCOME_BROKE_OFF,
            "ENGINE_LOST",
        )
        assert attempt.text_characters == len("Par")
        assert text_of(events) == "Paris it is."
        assert [attempt.model for attempt in events[-1].finished.attempts] == ["nano", "fast"]
        assert server.engine("fast").started[0].answered == "Par"
        await server.until_idle()

    async def test_after_the_first_token_there_is_none_if_the_caller_says_so(self, server: RunningServer) -> None:
        server.engine("nano").script("Par", StreamBrokenError("gone"))
        call = server.router.Stream(stream(allow_takeover=False))
        assert (await call.read()).HasField("started")
        assert (await call.read()).delta.text == "Par"
        refusal = await refused(call.read())
        assert (refusal.code.name, refusal.reason) == ("INTERNAL", "ENGINE_LOST")
        assert not server.engine("fast").started
        await server.until_idle()

    async def test_refused_by_the_caller_there_is_none(self, server: RunningServer) -> None:
        server.engine("nano").script(EngineLostError("gone"))
        call = server.router.Stream(stream(allow_fallback=False))
        assert (await call.read()).HasField("started")
        assert (await refused(call.read())).code is grpc.StatusCode.UNAVAILABLE

    async def test_for_a_fault_of_the_client_there_is_none(self, server: RunningServer) -> None:
        server.engine("nano").script(InvalidRequestError("no", field="sampling"))
        call = server.router.Stream(stream())
        assert (await call.read()).HasField("started")
        assert (await refused(call.read())).violated_fields == ["sampling"]
        assert not server.engine("fast").started

    async def test_an_engine_killed_in_the_middle_ends_its_streams_and_no_others(self, server: RunningServer) -> None:
        gate = asyncio.Event()
        server.engine("nano").script("Par", asyncio.Event(), "never")
        server.engine("premium").script("Lon", gate, "don")
        lost, kept = server.router.Stream(stream(allow_takeover=False)), server.router.Stream(stream(min_tier=4))
        for call in (lost, kept):
            assert [(await call.read()).WhichOneof("event") for _ in range(2)] == ["started", "delta"]
        server.engine("nano").death.set()
        assert (await refused(lost.read())).reason == "ENGINE_LOST"
        gate.set()
        assert kinds_of(await remaining(kept)) == ["delta", "finished"]
        await until(lambda: server.launcher.launches.count("nano") == 2)
        await until(lambda: server.process.deployments.is_ready)


async def test_a_full_queue_is_told_before_any_event_is_billed(server: RunningServer) -> None:
    for _ in range(CAPACITY):
        server.engine().script(asyncio.Event(), "never")
    calls = [server.router.Stream(stream(allow_fallback=False)) for _ in range(CAPACITY)]
    await until(lambda: len(server.engine().started) == CAPACITY)
    late = server.router.Stream(stream(allow_fallback=False))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await remaining(late)
    refusal = refusal_of(caught.value)
    assert refusal.reason == "QUEUE_FULL"
    assert refusal.retry_delay_s
    assert "grpc-retry-pushback-ms" in refusal.trailers
    for call in calls:
        call.cancel()
    await server.until_idle()


class TestLeaving:
    """However a caller goes, its generation is closed and its slot is free."""

    @pytest.mark.parametrize("produced", [0, 2], ids=["before the first token", "in the middle"])
    async def test_by_cancelling(self, server: RunningServer, produced: int) -> None:
        server.engine().script(*["word"] * produced, asyncio.Event(), "never")
        call = server.router.Stream(stream())
        for _ in range(1 + produced):
            await call.read()
        call.cancel()
        await server.until_idle()
        assert server.engine().produced == produced

    async def test_while_queued_behind_others(self, server: RunningServer) -> None:
        # The engine queues by itself: what it has admitted but not begun looks like a generation without a first token.
        gate = asyncio.Event()
        for _ in range(CAPACITY):
            server.engine().script(gate, "done")
        calls = [server.router.Stream(stream()) for _ in range(CAPACITY)]
        for call in calls:
            await call.read()
        await until(lambda: len(server.engine().started) == CAPACITY)
        calls[-1].cancel()
        await until(lambda: len(server.engine().closed) == 1)
        gate.set()
        for call in calls[:-1]:
            assert kinds_of(await remaining(call)) == ["delta", "finished"]
        await server.until_idle()

    @pytest.mark.parametrize("produced", [0, 2], ids=["before the first token", "in the middle"])
    async def test_by_deadline(self, server: RunningServer, produced: int) -> None:
        server.engine().script(*["word"] * produced, asyncio.Event(), "never")
        call = server.router.Stream(stream(allow_fallback=False), timeout=0.1)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await remaining(call)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        await server.until_idle()

    async def test_by_the_servers_default_deadline(self, serve: Serve) -> None:
        server = await serve(only(five_tiers(default_deadline_s=0.1), "nano"))
        server.engine().script("word", asyncio.Event(), "never")
        call = server.router.Stream(stream())
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await remaining(call)
        assert refusal_of(caught.value).reason == "DEADLINE_EXCEEDED"
        await server.until_idle()

    async def test_at_random_moments_in_great_number_leaves_nothing(self, serve: Serve) -> None:
        document = only(five_tiers(), "nano")
        document["engines"]["nano"] |= {"max_num_seqs": 64, "max_num_batched_tokens": 64, "queue_size": 1_000}
        server = await serve(document)
        before = len(asyncio.all_tasks())

        async def leave_after(events: int) -> None:
            call = server.router.Stream(stream())
            for _ in range(events):
                await call.read()
            call.cancel()

        await asyncio.gather(*(leave_after(number % 5) for number in range(200)))
        await server.until_idle()
        await until(lambda: len(asyncio.all_tasks()) <= before)


LARGE = "x" * 65_536


async def stalled(server: RunningServer) -> int:
    """How many chunks the engine had produced when it stopped being read: not one more in a tenth of a second."""
    async with asyncio.timeout(10):
        while True:
            produced = server.engine().produced
            await asyncio.sleep(0.1)
            if produced == server.engine().produced > 0:
                return produced


class TestSlowReader:
    async def test_holds_the_engine_back_and_not_the_servers_memory(self, server: RunningServer) -> None:
        server.engine().repeat(repeat(LARGE))
        call = server.router.Stream(stream())
        assert (await call.read()).HasField("started")
        produced = await stalled(server)
        assert produced * len(LARGE) < 32 << 20
        for _ in range(produced + 50):
            assert (await call.read()).delta.text == LARGE
        assert server.engine().produced >= produced + 50
        call.cancel()
        await server.until_idle()

    async def test_that_leaves_while_the_server_waits_for_it_frees_the_slot(self, server: RunningServer) -> None:
        server.engine().repeat(repeat(LARGE))
        call = server.router.Stream(stream())
        await call.read()
        await stalled(server)
        call.cancel()
        await server.until_idle()

    async def test_is_cut_off_by_its_deadline(self, serve: Serve) -> None:
        server = await serve(only(five_tiers(default_deadline_s=0.5), "nano"))
        server.engine().repeat(repeat(LARGE))
        call = server.router.Stream(stream())
        await call.read()
        await server.until_idle()
        call.cancel()

    async def test_does_not_hold_up_the_others(self, server: RunningServer) -> None:
        server.engine().repeat(repeat(LARGE))
        slow = server.router.Stream(stream())
        await slow.read()
        await stalled(server)
        assert kinds_of(await server.stream(stream()))[-1] == "finished"
        slow.cancel()
        await server.until_idle()
