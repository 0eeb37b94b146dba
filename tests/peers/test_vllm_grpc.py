"""Answers that come from vLLM's own gRPC server, through a whole server of ours. Its start takes most of a minute."""

from __future__ import annotations

import pytest

from tests.peers.answering import executed, streamed, text_of, tierway_before
from tests.peers.servers import Peer


@pytest.mark.timeout(300)  # it starts the server
async def test_it_answers_with_its_account_and_the_same_streamed(vllm_grpc: Peer) -> None:
    async with tierway_before(("vllm_grpc", f"grpc://{vllm_grpc.target}")) as server:
        reply = await executed(server)
        events = await streamed(server)
    assert "Paris" in reply.text
    assert reply.usage.input_tokens > 8
    assert text_of(events) == reply.text
    assert events[-1].finished.usage.output_tokens == reply.usage.output_tokens > 0
