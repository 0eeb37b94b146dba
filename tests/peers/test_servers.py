"""The peers themselves, asked through the official SDKs: what the tests of our backends stand on."""

from __future__ import annotations

import anthropic
import openai
import psutil

from tests.peers import servers
from tests.peers.servers import MODEL, Peer

ASKED = [{"role": "user", "content": "What is the capital of France?"}]


async def asked_by_openai(peer: Peer) -> str:
    """The whole text of a streamed answer."""
    async with openai.AsyncOpenAI(base_url=f"{peer.base_url}/v1", api_key="key", max_retries=0) as client:
        events = await client.chat.completions.create(
            model=MODEL, messages=ASKED, max_tokens=16, temperature=0, stream=True
        )
        return "".join([event.choices[0].delta.content or "" async for event in events if event.choices])


async def test_llama_cpp_answers(llama_cpp: Peer) -> None:
    # Weights of four bits, not de-quantised: what it says need not be true.
    assert len(await asked_by_openai(llama_cpp)) > 16


async def test_katan_echoes_as_openai(katan: Peer) -> None:
    assert "[echo]" in await asked_by_openai(katan)


async def test_katan_echoes_as_anthropic(katan: Peer) -> None:
    # The SDK sends its key as a bearer's, katan wants it as Anthropic's first clients sent it.
    settings = {"base_url": katan.base_url, "api_key": "key", "default_headers": {"x-api-key": "key"}}
    async with anthropic.AsyncAnthropic(**settings, max_retries=0) as client:
        answer = await client.messages.create(model=MODEL, max_tokens=64, messages=ASKED)
    assert answer.content[0].text.startswith("[echo]")


async def test_katan_echoes_as_azure(katan: Peer) -> None:
    settings = {"azure_endpoint": katan.base_url, "api_key": "key", "api_version": "2026-06-01", "max_retries": 0}
    async with openai.AsyncAzureOpenAI(**settings) as client:
        answer = await client.chat.completions.create(model=MODEL, messages=ASKED)
    assert answer.choices[0].message.content.startswith("[echo]")


async def test_katan_flaps(flapping_katan: Peer) -> None:
    failures = 0
    for _ in range(60):
        try:
            await asked_by_openai(flapping_katan)
        except openai.InternalServerError:
            failures += 1
    # By chance 60 in a row are all good, or all bad, less than once in a thousand million runs.
    assert 0 < failures < 60


def test_a_server_is_gone_when_its_block_ends(tmp_path) -> None:
    with servers.katan(tmp_path / "katan.log") as peer:
        assert psutil.pid_exists(peer.pid)
    assert not psutil.pid_exists(peer.pid)
