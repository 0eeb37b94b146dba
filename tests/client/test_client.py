"""The synchronous client on grpc_testing's channel: the test plays the server, time is virtual."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import grpc
import grpc_testing
import pytest

from tests.client.scripted_router import ANSWER, EXPLANATION, FINISHED, HASH, STARTED, delta, status_details
from tierway.v1 import router_service_pb2 as rpc
from tierway.v1 import types_pb2 as pb
from tierway_client import (
    CancelledCallError,
    Client,
    DeadlineExceededError,
    Delta,
    Finished,
    InternalError,
    InvalidArgumentError,
    Preferences,
    Query,
    Started,
    UnavailableError,
)

SERVICE = rpc.DESCRIPTOR.services_by_name["RouterService"]


class VirtualTime:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now_s = 1_000.0
        self.slept_s: list[float] = []

    def clock(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)
        self.now_s += seconds


class Server:
    """The test's side of the channel."""

    def __init__(self) -> None:
        self.time = VirtualTime()
        self.channel = grpc_testing.channel([SERVICE], grpc_testing.strict_fake_time(0))

    def client(self, **options) -> Client:
        return Client(channel=self.channel, clock=self.time.clock, sleep=self.time.sleep, jitter=lambda: 0.0, **options)

    def take(self, method: str):
        """The next call of a unary method: metadata, request, and the handle that ends it."""
        return self.channel.take_unary_unary(SERVICE.methods_by_name[method])

    def take_stream(self):
        return self.channel.take_unary_stream(SERVICE.methods_by_name["Stream"])


@pytest.fixture
def server() -> Server:
    return Server()


class Threads:
    """Runs blocking calls beside the test, which plays their server. Daemons: a test that fails leaves its call unanswered."""

    def submit(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Future:
        future: Future = Future()

        def run() -> None:
            try:
                future.set_result(function(*args, **kwargs))
            except Exception as error:  # noqa: BLE001  # the test's to judge
                future.set_exception(error)

        threading.Thread(target=run, daemon=True).start()
        return future


@pytest.fixture
def threads() -> Threads:
    return Threads()


def trailers(**details):
    return (("grpc-status-details-bin", status_details(**details)),)


def test_wrong_arguments_raise_before_any_call(server: Server) -> None:
    client = server.client()
    for call in (client.route, client.execute, client.stream):
        with pytest.raises(InvalidArgumentError):
            call()
        with pytest.raises(InvalidArgumentError) as raised:
            call("hi", timeout_s=-1)
        assert raised.value.field == "timeout_s"


def test_route_sends_the_query_and_returns_the_decision(server: Server, threads: Threads) -> None:
    client = server.client(tenant="acme", metadata=[("authorization", "Bearer x")])
    decision = threads.submit(client.route, "hi", preferences=Preferences(max_tier=2), request_id="r")
    metadata, request, call = server.take("Route")
    assert {("tierway-tenant", "acme"), ("authorization", "Bearer x")} <= set(metadata)
    assert request == rpc.RouteRequest(
        query=pb.Query(prompt="hi"), preferences=pb.Preferences(max_tier=2), request_id="r"
    )
    response = rpc.RouteResponse(decision=pb.Decision(model="m", tier=2), constitution_hash=HASH, request_id="r")
    call.terminate(response, (), grpc.StatusCode.OK, "")
    assert (decision.result().model, decision.result().request_id) == ("m", "r")


def test_refused_field_raises_its_error(server: Server, threads: Threads) -> None:
    outcome = threads.submit(server.client().route, "")
    *_, call = server.take("Route")
    details = trailers(reason="INVALID_FIELD", field_path="query.prompt", description="must not be empty")
    call.terminate(None, details, grpc.StatusCode.INVALID_ARGUMENT, "must not be empty")
    with pytest.raises(InvalidArgumentError, match=r"^INVALID_FIELD: query.prompt: must not be empty$"):
        outcome.result()


def test_execute_waits_as_the_full_queue_says_and_tries_again(server: Server, threads: Threads) -> None:
    answer = threads.submit(server.client().execute, "hi")
    for _ in range(2):
        *_, call = server.take("Execute")
        call.terminate(None, trailers(reason="QUEUE_FULL", retry_after_s=2.0), grpc.StatusCode.UNAVAILABLE, "full")
    _, request, call = server.take("Execute")
    call.terminate(ANSWER, (), grpc.StatusCode.OK, "")
    assert answer.result().text == ANSWER.text
    assert request.query.prompt == "hi"
    assert server.time.slept_s == [2.0, 2.0]


def test_execute_gives_up_after_max_attempts(server: Server, threads: Threads) -> None:
    outcome = threads.submit(server.client(max_attempts=2).execute, "hi")
    for _ in range(2):
        *_, call = server.take("Execute")
        call.terminate(None, trailers(reason="DRAINING", retry_after_s=1.0), grpc.StatusCode.UNAVAILABLE, "draining")
    with pytest.raises(UnavailableError, match="DRAINING"):
        outcome.result()


def test_execute_does_not_wait_past_its_deadline(server: Server, threads: Threads) -> None:
    outcome = threads.submit(server.client().execute, "hi", timeout_s=5)
    *_, call = server.take("Execute")
    call.terminate(None, trailers(reason="QUEUE_FULL", retry_after_s=6.0), grpc.StatusCode.UNAVAILABLE, "full")
    with pytest.raises(UnavailableError) as raised:
        outcome.result()
    assert (raised.value.retry_after_s, server.time.slept_s) == (6.0, [])


def test_execute_is_not_repeated_when_the_connection_breaks(server: Server, threads: Threads) -> None:
    outcome = threads.submit(server.client().execute, "hi")
    *_, call = server.take("Execute")
    call.terminate(None, (), grpc.StatusCode.UNAVAILABLE, "Socket closed")
    with pytest.raises(UnavailableError) as raised:
        outcome.result()
    assert (raised.value.reason, server.time.slept_s) == ("", [])


def test_route_batch_returns_errors_in_place(server: Server, threads: Threads) -> None:
    outcome = threads.submit(server.client().route_batch, ["a", Query("b")])
    *_, call = server.take("RouteBatch")
    results = [
        rpc.RouteResult(decision=pb.Decision(model="m")),
        rpc.RouteResult(error=rpc.RouteError(code=3, message="no")),
    ]
    call.terminate(rpc.RouteBatchResponse(results=results), (), grpc.StatusCode.OK, "")
    first, second = outcome.result()
    assert first.model == "m"
    assert isinstance(second, InvalidArgumentError)


def test_list_models_follows_the_pages(server: Server, threads: Threads) -> None:
    names = threads.submit(lambda: [model.name for model in server.client().list_models(page_size=1)])
    for name, token in (("a", "next"), ("b", "")):
        _, request, call = server.take("ListModels")
        assert (request.page_size, request.page_token) == (1, "" if name == "a" else "next")
        page = rpc.ListModelsResponse(models=[rpc.Model(name=name)], next_page_token=token)
        call.terminate(page, (), grpc.StatusCode.OK, "")
    assert names.result() == ["a", "b"]


def test_explain_sends_the_query_and_how_many_features(server: Server, threads: Threads) -> None:
    explaining = threads.submit(
        server.client().explain, "hi", preferences=Preferences(cost_quality=0.0), max_features=3
    )
    _, request, call = server.take("Explain")
    preferences = pb.Preferences(cost_quality=0.0)
    assert request == rpc.ExplainRequest(query=pb.Query(prompt="hi"), preferences=preferences, max_features=3)
    call.terminate(EXPLANATION, (), grpc.StatusCode.OK, "")
    explanation = explaining.result(timeout=5)
    assert (explanation.decision.constitution_hash, explanation.candidates[0].rank) == (HASH, 1)


def test_get_stats(server: Server, threads: Threads) -> None:
    stats = threads.submit(server.client().get_stats)
    *_, call = server.take("GetStats")
    call.terminate(rpc.GetStatsResponse(in_flight=3), (), grpc.StatusCode.OK, "")
    assert stats.result().in_flight == 3


def test_stream_yields_events_and_remembers_both_ends(server: Server) -> None:
    stream = server.client().stream("hi")
    *_, call = server.take_stream()
    for event in (STARTED, delta("a"), rpc.StreamResponse(), delta("b"), FINISHED):
        call.send_response(event)
    call.terminate((), grpc.StatusCode.OK, "")
    events = list(stream)
    assert [type(event) for event in events] == [Started, Delta, Delta, Finished]
    assert (stream.started, stream.finished) == (events[0], events[-1])


def test_stream_text_is_only_text(server: Server) -> None:
    stream = server.client().stream("hi")
    *_, call = server.take_stream()
    for event in (STARTED, delta("a"), delta(""), delta("b"), FINISHED):
        call.send_response(event)
    call.terminate((), grpc.StatusCode.OK, "")
    assert list(stream.text()) == ["a", "b"]
    assert stream.finished is not None


def test_stream_is_tried_again_before_its_first_event(server: Server, threads: Threads) -> None:
    stream = server.client().stream("hi")
    first: Future = threads.submit(next, stream)
    *_, call = server.take_stream()
    call.terminate(trailers(reason="NOT_READY", retry_after_s=1.0), grpc.StatusCode.UNAVAILABLE, "warming")
    *_, call = server.take_stream()
    call.send_response(STARTED)
    assert isinstance(first.result(), Started)
    assert server.time.slept_s == [1.0]


def test_stream_is_not_tried_again_once_it_has_begun(server: Server) -> None:
    stream = server.client().stream("hi")
    *_, call = server.take_stream()
    call.send_response(STARTED)
    assert isinstance(next(stream), Started)
    call.terminate(trailers(reason="DRAINING", retry_after_s=1.0), grpc.StatusCode.UNAVAILABLE, "draining")
    with pytest.raises(UnavailableError, match="DRAINING"):
        next(stream)
    assert server.time.slept_s == []


def test_stream_that_ends_without_finished_is_an_error(server: Server) -> None:
    stream = server.client().stream("hi")
    *_, call = server.take_stream()
    call.send_response(STARTED)
    call.terminate((), grpc.StatusCode.OK, "")
    with pytest.raises(InternalError, match="INCOMPLETE_STREAM") as raised:
        list(stream)
    assert raised.value.request_id == "r-1"


def test_leaving_the_block_cancels_the_stream(server: Server) -> None:
    with server.client().stream("hi") as stream:
        *_, call = server.take_stream()
        call.send_response(STARTED)
        next(stream)
    call.cancelled()
    with pytest.raises(CancelledCallError):
        next(stream)


def test_leaving_text_early_cancels_the_stream(server: Server) -> None:
    stream = server.client().stream("hi")
    *_, call = server.take_stream()
    call.send_response(delta("a"))
    for _ in stream.text():
        break
    call.cancelled()


def test_cancelling_during_the_pause_cancels_the_next_try(server: Server) -> None:
    server.time.sleep = lambda _: stream.cancel()
    stream = server.client().stream("hi")
    *_, call = server.take_stream()
    call.terminate(trailers(reason="QUEUE_FULL", retry_after_s=1.0), grpc.StatusCode.UNAVAILABLE, "full")
    with pytest.raises(CancelledCallError):
        next(stream)
    *_, call = server.take_stream()
    call.cancelled()


def test_deadline_of_a_stream_raises_its_error(server: Server) -> None:
    stream = server.client().stream("hi")
    *_, call = server.take_stream()
    call.terminate((), grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")
    with pytest.raises(DeadlineExceededError):
        next(stream)
