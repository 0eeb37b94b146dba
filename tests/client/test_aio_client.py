"""The asyncio client against a real grpc.aio server in the same loop."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import grpc
import pytest

from tests.client.scripted_router import (
    ANSWER,
    FINISHED,
    STARTED,
    Hang,
    ScriptedRouter,
    delta,
    queue_full,
    refuse,
    serving,
)
from tierway_client import (
    AsyncClient,
    CancelledCallError,
    DeadlineExceededError,
    Delta,
    FailedPreconditionError,
    Finished,
    InternalError,
    InvalidArgumentError,
    Preferences,
    Sampling,
    Started,
    UnavailableError,
)


@pytest.fixture
def router() -> ScriptedRouter:
    return ScriptedRouter()


@pytest.fixture
async def target(router: ScriptedRouter) -> AsyncIterator[str]:
    async with serving(router) as address:
        yield address


@pytest.fixture
async def client(target: str) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(target, tenant="acme", timeout_s=30) as opened:
        yield opened


async def ended(hang: Hang) -> None:
    """Waits until the server's handler is over."""
    assert await asyncio.to_thread(hang.ended.wait, 20)


def test_client_without_a_loop_is_refused() -> None:
    with pytest.raises(RuntimeError, match="no running event loop"):
        AsyncClient()


async def test_wrong_arguments_raise_before_any_call(client: AsyncClient, router: ScriptedRouter) -> None:
    with pytest.raises(InvalidArgumentError):
        await client.route()
    with pytest.raises(InvalidArgumentError):
        client.stream("hi", timeout_s=0)
    assert router.calls == []


async def test_server_that_is_not_there_is_unavailable_without_a_reason(target: str) -> None:
    async with serving(ScriptedRouter()) as gone:
        pass
    async with AsyncClient(gone, max_attempts=1) as client:
        for call in (client.route, client.execute):
            with pytest.raises(UnavailableError) as raised:
                await call("hi")
            assert raised.value.reason == ""


async def test_waiting_for_ready_meets_the_deadline_instead(target: str) -> None:
    async with serving(ScriptedRouter()) as gone:
        pass
    async with AsyncClient(gone, wait_for_ready=True) as client:
        with pytest.raises(DeadlineExceededError):
            await client.route("hi", timeout_s=0.2)


async def test_calls_carry_tenant_deadline_and_fields(client: AsyncClient, router: ScriptedRouter) -> None:
    decision = await client.route("hi", preferences=Preferences(agent="a"), sampling=Sampling(seed=1), request_id="r")
    assert (decision.model, decision.request_id) == ("smollm2-135m", "r")
    (call,) = router.calls
    assert call.metadata["tierway-tenant"] == "acme"
    assert call.metadata["user-agent"].startswith("tierway-client/")
    assert call.time_remaining_s == pytest.approx(30, abs=10)
    assert (call.request.preferences.agent, call.request.sampling.seed) == ("a", 1)


async def test_error_details_arrive_over_the_wire(client: AsyncClient, router: ScriptedRouter) -> None:
    router.script("Execute", refuse(grpc.StatusCode.FAILED_PRECONDITION, "no tier 5", reason="PIN_UNSATISFIABLE"))
    with pytest.raises(FailedPreconditionError) as raised:
        await client.execute("hi")
    error = raised.value
    assert (error.reason, error.message, error.request_id) == ("PIN_UNSATISFIABLE", "no tier 5", "r-1")


async def test_full_queue_twice_then_the_answer(client: AsyncClient, router: ScriptedRouter) -> None:
    router.script("Execute", queue_full(), queue_full())
    assert (await client.execute("hi")).text == ANSWER.text
    assert len(router.requests("Execute")) == 3


async def test_full_queue_without_retry_info_is_final(client: AsyncClient, router: ScriptedRouter) -> None:
    router.script("Execute", queue_full(retry_after_s=None))
    with pytest.raises(UnavailableError, match="QUEUE_FULL"):
        await client.execute("hi")
    assert len(router.requests("Execute")) == 1


async def test_lost_engine_is_never_asked_twice(client: AsyncClient, router: ScriptedRouter) -> None:
    router.script("Execute", refuse(grpc.StatusCode.UNAVAILABLE, "lost", reason="ENGINE_LOST", retry_after_s=0.001))
    with pytest.raises(UnavailableError, match="ENGINE_LOST"):
        await client.execute("hi")
    assert len(router.requests("Execute")) == 1


async def test_route_is_repeated_by_grpc_while_unavailable(client: AsyncClient, router: ScriptedRouter) -> None:
    router.script("Route", refuse(grpc.StatusCode.UNAVAILABLE, "moving", reason="DRAINING"))
    assert (await client.route("hi")).model == "smollm2-135m"
    assert len(router.requests("Route")) == 2


async def test_other_calls(client: AsyncClient) -> None:
    assert [model.name async for model in client.list_models()] == ["m0", "m1", "m2"]
    assert (await client.get_stats()).in_flight == 3
    assert len(await client.route_batch(["a", "b"])) == 2
    assert (await client.explain("a", max_features=0)).decision.model == "smollm2-135m"


async def test_stream_brings_events_in_order(client: AsyncClient) -> None:
    async with client.stream("hi") as stream:
        events = [event async for event in stream]
    assert [type(event) for event in events] == [Started, Delta, Delta, Delta, Finished]
    assert (stream.started, stream.finished) == (events[0], events[-1])


async def test_stream_text(client: AsyncClient) -> None:
    assert [text async for text in client.stream("hi").text()] == ["The capital of France", " is Paris."]


async def test_full_queue_twice_then_the_stream(client: AsyncClient, router: ScriptedRouter) -> None:
    router.script("Stream", queue_full(), queue_full())
    assert len([event async for event in client.stream("hi")]) == 5
    assert len(router.requests("Stream")) == 3


async def test_stream_that_is_cut_off_raises_after_what_came(client: AsyncClient, router: ScriptedRouter) -> None:
    router.script("Stream", [STARTED, delta("a"), refuse(grpc.StatusCode.INTERNAL, "lost", reason="ENGINE_LOST")])
    stream = client.stream("hi")
    assert [type(await anext(stream)) for _ in range(2)] == [Started, Delta]
    with pytest.raises(InternalError, match="ENGINE_LOST"):
        await anext(stream)
    assert len(router.requests("Stream")) == 1


async def test_stream_that_ends_without_finished_is_an_error(client: AsyncClient, router: ScriptedRouter) -> None:
    router.script("Stream", [STARTED, delta("a")])
    with pytest.raises(InternalError, match="INCOMPLETE_STREAM"):
        [event async for event in client.stream("hi")]


async def test_deadline_cancels_the_handler(client: AsyncClient, router: ScriptedRouter) -> None:
    hang = Hang(first=[STARTED])
    router.script("Stream", hang)
    with pytest.raises(DeadlineExceededError):
        [event async for event in client.stream("hi", timeout_s=2)]
    await ended(hang)


async def leave_block(client: AsyncClient) -> None:
    async with client.stream("hi") as stream:
        await anext(stream)


async def leave_text(client: AsyncClient) -> None:
    text = client.stream("hi").text()
    await anext(text)
    await text.aclose()


async def cancel(client: AsyncClient) -> None:
    stream = client.stream("hi")
    await anext(stream)
    stream.cancel()
    with pytest.raises(CancelledCallError):
        await anext(stream)


async def drop(client: AsyncClient) -> None:
    async for _ in client.stream("hi"):
        break


async def cancel_task(client: AsyncClient) -> None:
    has_begun = asyncio.Event()

    async def read() -> None:
        async for _ in client.stream("hi"):
            has_begun.set()

    task = asyncio.create_task(read())
    await has_begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def cancel_from_another_task(client: AsyncClient) -> None:
    stream = client.stream("hi")
    has_begun = asyncio.Event()

    async def read() -> None:
        async for _ in stream:
            has_begun.set()

    reading = asyncio.create_task(read())
    await has_begun.wait()
    stream.cancel()
    with pytest.raises(CancelledCallError):
        await reading


@pytest.mark.parametrize("leave", [leave_block, leave_text, cancel, drop, cancel_task, cancel_from_another_task])
async def test_early_exit_cancels_the_servers_handler(
    client: AsyncClient, router: ScriptedRouter, leave: Callable[[AsyncClient], Awaitable[None]]
) -> None:
    hang = Hang(first=[STARTED, delta("a")])
    router.script("Stream", hang)
    await leave(client)
    await ended(hang)


async def test_cancelled_task_cancels_execute_at_the_server(client: AsyncClient, router: ScriptedRouter) -> None:
    hang = Hang()
    router.script("Execute", hang)
    task = asyncio.create_task(client.execute("hi"))
    assert await asyncio.to_thread(hang.began.wait, 20)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await ended(hang)


async def test_finished_stream_can_be_cancelled_and_read_again(client: AsyncClient, router: ScriptedRouter) -> None:
    router.script("Stream", [STARTED, FINISHED])
    stream = client.stream("hi")
    assert len([event async for event in stream]) == 2
    stream.cancel()
    assert [event async for event in stream] == []
