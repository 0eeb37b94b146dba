"""Answers that come from `llm-katan`, which echoes in the ways of hosted services, through a whole server of ours."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import grpc
import pytest
from google.protobuf import struct_pb2

from tests.faults.proxy import Fault, Kind, fault_proxy
from tests.peers.answering import executed, streamed, text_of, tierway_before
from tests.peers.servers import Peer
from tests.server.refusal import refused
from tests.server.running import RunningServer, until
from tierway.v1 import router_service_pb2 as rpc
from tierway.v1 import types_pb2

PATHS = {"openai": "/v1", "azure": "", "anthropic": "", "google": "/v1beta"}
"""The kinds of providers that it can be, and where their APIs begin there."""
PROMPT = "Say Zürich, 日本 and 😀"
WORDS = len(PROMPT.split())
PLAIN = {"temperature": None}
"""Anthropic takes no temperature any more."""

kinds = pytest.mark.parametrize("kind", PATHS)


def place(kind: str, peer: Peer) -> tuple[str, str]:
    return kind, f"{peer.base_url}{PATHS[kind]}"


@pytest.fixture
async def server(katan: Peer, kind: str) -> AsyncIterator[RunningServer]:
    async with tierway_before(place(kind, katan)) as server:
        yield server


def weather() -> dict[str, list[types_pb2.Tool]]:
    """A tool, which it calls wherever there is one; but for Anthropic's way in a whole answer, also where events are asked for."""
    parameters = struct_pb2.Struct()
    parameters.update({"type": "object", "properties": {"city": {"type": "string"}}})
    return {"tools": [types_pb2.Tool(name="weather", parameters=parameters)]}


@kinds
class TestAnswering:
    async def test_an_answer_comes_with_its_account(self, server: RunningServer, kind: str) -> None:
        reply = await executed(server, PROMPT, **PLAIN)
        assert reply.text.startswith("[echo]")
        assert reply.text.endswith(f"User: {PROMPT}")
        assert reply.finish_reason == types_pb2.FINISH_REASON_STOP
        # It counts words.
        assert (reply.usage.input_tokens, reply.usage.output_tokens) == (WORDS, len(reply.text.split()))
        assert reply.cost_usd == pytest.approx((WORDS * 1.0 + len(reply.text.split()) * 2.0) / 1e6)

    async def test_a_stream_says_the_same(self, server: RunningServer, kind: str) -> None:
        events = await streamed(server, PROMPT, **PLAIN)
        assert text_of(events).endswith(f"User: {PROMPT}")
        finished = events[-1].finished
        assert finished.finish_reason == types_pb2.FINISH_REASON_STOP
        assert (finished.usage.input_tokens, finished.usage.output_tokens) == (WORDS, len(text_of(events).split()))

    async def test_any_json_object_is_one(self, server: RunningServer, kind: str) -> None:
        query = {"response_format": types_pb2.ResponseFormat(json_object=types_pb2.JsonObject())}
        assert isinstance(json.loads((await executed(server, PROMPT, query=query, **PLAIN)).text), dict)


@kinds
async def test_a_tool_is_called(server: RunningServer, kind: str) -> None:
    asked = {"query": weather(), **PLAIN}
    arguments = {} if kind == "google" else {"city": "test_city"}  # it does not look at parameters there
    reply = await executed(server, PROMPT, **asked)
    *_, delta, finished = await streamed(server, PROMPT, **asked)
    for calls in (reply.tool_calls, delta.delta.tool_calls):
        [call] = calls
        assert (call.name, json.loads(call.arguments)) == ("weather", arguments)
    assert reply.finish_reason == finished.finished.finish_reason == types_pb2.FINISH_REASON_TOOL_CALLS


@kinds
class TestFailing:
    async def test_a_caller_that_leaves_ends_the_connection(self, katan: Peer, kind: str) -> None:
        stalled = Fault(kind=Kind.STALL, at_byte=900)
        async with fault_proxy(int(katan.target.rpartition(":")[2]), stalled) as proxy:
            address = f"http://127.0.0.1:{proxy.port}{PATHS[kind]}"
            async with tierway_before((kind, address)) as server:
                call = server.router.Stream(rpc.StreamRequest(query=types_pb2.Query(prompt=PROMPT)))
                async for event in call:
                    if event.HasField("delta"):
                        break
                assert proxy.living == 1
                call.cancel()
                await until(lambda: proxy.living == 0)
                await server.until_idle()
                assert await call.code() is grpc.StatusCode.CANCELLED

    async def test_flapping_it_is_not_seen_by_callers(self, flapping_katan: Peer, katan: Peer, kind: str) -> None:
        async with tierway_before(place(kind, flapping_katan), place(kind, katan)) as server:
            replies = [await executed(server, **PLAIN) for _ in range(30)]
        assert all(reply.text.startswith("[echo]") for reply in replies)
        # By chance none of thirty fails once in forty thousand runs.
        assert any(attempt.reason == "PROVIDER_FAILED" for reply in replies for attempt in reply.attempts)

    async def test_its_rate_limit_is_an_overload(self, limited_katan: Peer, katan: Peer, kind: str) -> None:
        async with tierway_before(place(kind, limited_katan), place("openai", katan)) as server:
            replies = [await executed(server, **PLAIN) for _ in range(2)]
        assert all(reply.text.startswith("[echo]") for reply in replies)
        assert {attempt.reason for attempt in replies[1].attempts[:-1]} == {"PROVIDER_OVERLOADED"}
        async with tierway_before(place(kind, limited_katan)) as server:
            refusal = await refused(executed(server, **PLAIN))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAVAILABLE, "PROVIDER_OVERLOADED")

    async def test_a_key_that_it_refuses_is_no_affair_of_the_caller(self, strict_katan: Peer, kind: str) -> None:
        async with tierway_before(place(kind, strict_katan)) as server:
            refusal = await refused(executed(server, **PLAIN))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.INTERNAL, "PROVIDER_AUTH")
        # It says which key it was given, and which it wants.
        assert "'key'" not in str(refusal.status)
        assert "llm-katan" not in str(refusal.status)
