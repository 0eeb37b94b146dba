"""Answers that come from vLLM's own gRPC server, through a whole server of ours. Its start takes most of a minute."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import grpc
import pytest

from tests.faults.proxy import Kind, fault_proxy
from tests.peers.answering import (
    CAPITAL,
    check_an_answer_is_its_stream,
    check_it_is_held_to_a_schema,
    check_tokens_are_as_likely_as_it_says,
    executed,
    text_of,
    tierway_before,
)
from tests.peers.servers import Peer
from tests.server.refusal import refused
from tests.server.running import RunningServer, until
from tierway.v1 import router_service_pb2 as rpc
from tierway.v1 import types_pb2

pytestmark = pytest.mark.timeout(300)  # the first of these tests starts the server


@pytest.fixture
async def server(vllm_grpc: Peer) -> AsyncIterator[RunningServer]:
    async with tierway_before(("vllm_grpc", f"grpc://{vllm_grpc.target}")) as server:
        yield server


def asking(prompt: str, max_tokens: int) -> rpc.StreamRequest:
    return rpc.StreamRequest(
        query=types_pb2.Query(prompt=prompt), sampling=types_pb2.Sampling(temperature=0.0, max_tokens=max_tokens)
    )


def aborted(peer: Peer) -> int:
    """How many requests the engine did not finish, as it says itself."""
    return len(re.findall(r"Request \S+ aborted", peer.log.read_text(errors="replace")))


class TestAnswering:
    async def test_an_answer_comes_with_its_account_and_is_the_same_streamed(self, server: RunningServer) -> None:
        await check_an_answer_is_its_stream(server)

    async def test_it_tells_how_likely_its_tokens_were(self, server: RunningServer) -> None:
        await check_tokens_are_as_likely_as_it_says(server)

    async def test_it_is_held_to_a_schema(self, server: RunningServer) -> None:
        await check_it_is_held_to_a_schema(server)

    async def test_it_stops_at_a_length_and_at_a_text(self, server: RunningServer) -> None:
        whole = await executed(server)
        short = await executed(server, max_tokens=3)
        assert (short.finish_reason, short.usage.output_tokens) == (types_pb2.FINISH_REASON_LENGTH, 3)
        stopped = await executed(server, stop=["Paris"])
        assert (stopped.finish_reason, stopped.text) == (types_pb2.FINISH_REASON_STOP, whole.text.partition("Paris")[0])


class TestFailing:
    async def test_tools_are_called_elsewhere_or_not_at_all(self, server: RunningServer, vllm_grpc: Peer, katan: Peer):
        query = {"tools": [types_pb2.Tool(name="weather")]}
        refusal = await refused(executed(server, query=query))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "NO_CANDIDATE")
        places = (("vllm_grpc", f"grpc://{vllm_grpc.target}"), ("anthropic", katan.base_url))
        async with tierway_before(*places) as server:
            reply = await executed(server, query=query, temperature=None)
        assert [call.name for call in reply.tool_calls] == ["weather"]

    async def test_a_caller_that_leaves_stops_the_engine(self, server: RunningServer, vllm_grpc: Peer) -> None:
        before = aborted(vllm_grpc)
        call = server.router.Stream(asking("Tell a very long story.", 1_500))
        async for event in call:
            if event.HasField("delta"):
                break
        assert aborted(vllm_grpc) == before
        call.cancel()
        await until(lambda: aborted(vllm_grpc) == before + 1)
        await server.until_idle()

    async def test_an_answer_whose_connection_breaks_goes_on_where_it_ended(self, vllm_grpc: Peer) -> None:
        port = int(vllm_grpc.target.rpartition(":")[2])
        async with fault_proxy(port) as proxy:
            places = [("vllm_grpc", f"grpc://127.0.0.1:{each}") for each in (proxy.port, port)]
            async with tierway_before(*places) as server:
                whole = (await executed(server)).text
                events = []
                async for event in server.router.Stream(asking(CAPITAL, 24)):
                    events.append(event)
                    if event.HasField("delta") and not proxy.is_gone:
                        proxy.go(Kind.RESET)
        [broken] = [event.attempt for event in events if event.HasField("attempt")]
        assert broken.outcome == types_pb2.ATTEMPT_OUTCOME_BROKE_OFF
        assert 0 < broken.text_characters < len(whole)
        # The same engine, asked for the likeliest tokens, begun with the same text: the seam cannot be seen.
        assert text_of(events) == whole
