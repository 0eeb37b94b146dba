"""Our backend for OpenAI's chat completions against servers of others: llama.cpp's, vLLM's, llm-katan."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.peers.servers import MODEL, Peer
from tests.server.remote import answer, asking, remote_backend, remote_fleet, text_of
from tierway_server.backends.base import FinishReason, Message, Role, Sampling
from tierway_server.errors import ContextTooLongError, ProviderRejectedError

GREEDY = Sampling(temperature=0.0)
CAPITAL = "What is the capital of France?"
CITY = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 20}},
    "required": ["city"],
    "additionalProperties": False,
}


def fleet(peer: Peer, kind: str, **provider: Any):
    return remote_fleet(f"{peer.base_url}/v1", kind=kind, deployment={"model": MODEL}, **provider)


async def check_answers(peer: Peer, kind: str) -> None:
    """What every server has to do: answer, count, stop at a length, go on with what was said, and keep to a schema."""
    async with remote_backend(fleet(peer, kind)) as backend:
        chunks = await answer(backend, asking(CAPITAL, sampling=GREEDY, max_tokens=24))
        whole, last = text_of(chunks), chunks[-1]
        assert len(whole) > 16
        assert last.usage is not None
        assert 8 <= last.usage.input_tokens <= 64
        assert sum(chunk.token_count for chunk in chunks) <= last.usage.output_tokens <= 24

        chunks = await answer(backend, asking(CAPITAL, sampling=GREEDY, max_tokens=3))
        assert (chunks[-1].finish_reason, chunks[-1].usage.output_tokens) == (FinishReason.LENGTH, 3)
        assert whole.startswith(text_of(chunks))

        begun = whole[: whole.index(" ", 8)]
        chunks = await answer(backend, asking(CAPITAL, sampling=GREEDY, max_tokens=24, answered=begun))
        assert (begun + text_of(chunks))[: len(whole)] == whole

        chunks = await answer(backend, asking(CAPITAL, sampling=GREEDY, json_schema=CITY))
        assert list(json.loads(text_of(chunks))) == ["city"]

        chunks = await answer(backend, asking(CAPITAL, sampling=Sampling(top_logprobs=2), max_tokens=4))
        logprobs = [each for chunk in chunks for each in chunk.logprobs]
        assert len(logprobs) == 4
        assert "".join(each.token for each in logprobs) == text_of(chunks)
        assert all(each.logprob <= 0 and len(each.top) == 2 for each in logprobs)


async def check_refusals(peer: Peer, kind: str) -> None:
    """A prompt that does not fit is told apart from a model that nobody knows."""
    too_long = asking("word " * 20_000)
    async with remote_backend(fleet(peer, kind)) as backend:
        with pytest.raises(ContextTooLongError):
            await answer(backend, too_long)


async def test_llama_cpp(llama_cpp: Peer) -> None:
    await check_answers(llama_cpp, "llamacpp")
    await check_refusals(llama_cpp, "llamacpp")


@pytest.mark.timeout(240)
async def test_vllm(vllm_openai: Peer) -> None:
    await check_answers(vllm_openai, "vllm")
    await check_refusals(vllm_openai, "vllm")
    document = fleet(vllm_openai, "vllm")
    document["models"][0]["deployments"][0]["model"] = "nobody-knows-it"
    async with remote_backend(document) as backend:
        with pytest.raises(ProviderRejectedError):
            await answer(backend)


@pytest.mark.parametrize("kind", ["openai", "groq", "openrouter", "xai", "gemini", "ollama"])
async def test_katan(katan: Peer, kind: str) -> None:
    async with remote_backend(fleet(katan, kind)) as backend:
        chunks = await answer(backend, asking("Say Zürich, 日本 and 😀"))
    assert text_of(chunks).startswith("[echo]")
    assert "Zürich, 日本 and 😀" in text_of(chunks)
    assert chunks[-1].finish_reason is FinishReason.STOP


async def test_katan_as_azure(katan: Peer) -> None:
    document = remote_fleet(katan.base_url, kind="azure", api_version="2024-10-21", deployment={"model": MODEL})
    async with remote_backend(document) as backend:
        messages = (Message(Role.SYSTEM, "Be brief."), Message(Role.USER, "Hello?"))
        assert text_of(await answer(backend, asking(messages=messages))).startswith("[echo]")
