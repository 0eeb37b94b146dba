import base64

import pytest

from tests.server.fleet import HASH, five_tiers, only
from tests.server.refusal import refused
from tests.server.running import RunningServer, serving
from tierway.v1 import router_service_pb2 as rpc

pytestmark = pytest.mark.asyncio(loop_scope="module")

NAMES = ["nano", "fast", "balanced", "premium", "expert"]


async def page(server: RunningServer, size: int = 0, token: str = "") -> rpc.ListModelsResponse:
    reply: rpc.ListModelsResponse = await server.router.ListModels(
        rpc.ListModelsRequest(page_size=size, page_token=token)
    )
    return reply


async def test_all_models_come_with_their_facts(shared_server: RunningServer) -> None:
    reply = await page(shared_server)
    assert [model.name for model in reply.models] == NAMES
    assert reply.next_page_token == ""
    assert reply.constitution_hash == HASH
    nano, premium = reply.models[0], reply.models[3]
    assert (nano.tier, nano.compliance_score, nano.vision) == (1, 0.82, False)
    prices = (
        nano.input_usd_per_million_tokens,
        nano.cached_input_usd_per_million_tokens,
        nano.output_usd_per_million_tokens,
    )
    assert prices == pytest.approx((0.05, 0.01, 0.1), rel=1e-12)
    assert list(nano.fallback_chain) == NAMES[1:]
    [deployment] = nano.deployments
    assert (deployment.name, deployment.provider, deployment.available, deployment.unavailable_reason) == (
        "nano@nano",
        "vllm",
        True,
        "",
    )
    assert deployment.context_tokens == 1_024
    assert deployment.expected_latency.ToMilliseconds() == 50
    assert premium.vision


@pytest.mark.parametrize("size", [1, 2, 3, 5, 1_000])
async def test_pages_put_together_are_the_whole(shared_server: RunningServer, size: int) -> None:
    names: list[str] = []
    token = ""
    while True:
        reply = await page(shared_server, size, token)
        assert 1 <= len(reply.models) <= size
        names += [model.name for model in reply.models]
        if not (token := reply.next_page_token):
            break
    assert names == NAMES


@pytest.mark.parametrize("size", [-1, 1_001])
async def test_a_size_out_of_range_is_refused(shared_server: RunningServer, size: int) -> None:
    refusal = await refused(shared_server.router.ListModels(rpc.ListModelsRequest(page_size=size)))
    assert (refusal.code.name, refusal.violated_fields) == ("INVALID_ARGUMENT", ["page_size"])


def forged(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "token",
    [
        "x",
        "é",
        "====",
        "2",
        forged("models:0"),
        forged("models:-1"),
        forged("models:5"),
        forged("models:x"),
        forged("models:" + "9" * 5_000),
        forged("other:2"),
    ],
    ids=lambda token: token[:20],
)
async def test_a_token_that_was_not_given_is_refused(shared_server: RunningServer, token: str) -> None:
    refusal = await refused(shared_server.router.ListModels(rpc.ListModelsRequest(page_token=token)))
    assert (refusal.code.name, refusal.violated_fields) == ("INVALID_ARGUMENT", ["page_token"])


async def test_models_come_by_tier_whatever_the_order_of_the_file() -> None:
    document = only(five_tiers(), "nano", "fast", "balanced")
    document["models"].reverse()
    async with serving(document) as server:
        assert [model.name for model in (await page(server)).models] == ["nano", "fast", "balanced"]


async def test_what_cannot_answer_says_why() -> None:
    document = only(five_tiers(), "nano", "fast")
    document["engines"]["nano"]["model"] = "/nowhere"
    document["providers"] = {
        "groq": {"kind": "openai", "base_url": "https://api.example/v1", "api_key": "env:GROQ_API_KEY"}
    }
    document["models"][1]["deployments"] = [{"provider": "groq", "model": "vendor/fast"}]
    async with serving(document, ready=False) as server:
        nano, fast = (await page(server)).models
    assert (nano.deployments[0].available, fast.deployments[0].available) == (False, False)
    assert "no weights" in nano.deployments[0].unavailable_reason
    assert "no credential" in fast.deployments[0].unavailable_reason
    assert fast.deployments[0].provider == "groq"
