"""The default configuration, as a newcomer meets it: SmolLM2 on a real engine, through the command, the client and a generic tool."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.e2e.serving import Server
from tierway_client import AsyncClient, FinishReason, InvalidArgumentError, JsonObject, JsonSchema, Message, Sampling

CAPITAL = "What is the capital of France?"
GREEDY = Sampling(temperature=0.0, max_tokens=32)


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """`tierway serve` without a configuration file."""
    server = Server.start(None, tmp_path_factory.mktemp("embedded") / "log")
    try:
        yield server
    finally:
        server.kill()


@pytest.fixture
async def client(embedded: Server) -> AsyncIterator[AsyncClient]:
    """A client of the default server."""
    async with AsyncClient(embedded.target, max_attempts=1) as client:
        yield client


def test_tierway_ask_streams_the_answer(embedded: Server) -> None:
    asked = _tierway("ask", "--target", embedded.target, "--temperature", "0", CAPITAL)
    assert asked.stdout.strip() == "The capital of France is Paris."
    for told in ("tier 1", "smollm2-135m", "tokens/s", "$"):
        assert told in asked.stderr


def test_tierway_route_says_what_and_why(embedded: Server) -> None:
    routed = _tierway("route", "--target", embedded.target, CAPITAL)
    assert "smollm2-135m" in routed.stdout
    assert "cost_quality" in routed.stdout
    explained = _tierway("explain", "--target", embedded.target, CAPITAL)
    for told in ("difficulty", "smollm2-135m@smollm2", "grok-4@openrouter", "it is unavailable"):
        assert told in explained.stdout


def test_tierway_models_lists_the_eleven_endpoints_and_the_embedded_one(embedded: Server) -> None:
    models = json.loads(_tierway("models", "--target", embedded.target, "--json").stdout)
    assert len(models) == 12
    available = [
        model["name"] for model in models if any(deployment["available"] for deployment in model["deployments"])
    ]
    assert available == ["smollm2-135m"]


def test_buf_curl_calls_by_reflection(embedded: Server) -> None:
    buf = Path(sys.executable).with_name("buf")
    address = f"http://{embedded.target}/tierway.v1.RouterService/Route"
    body = json.dumps({"query": {"prompt": "Hello"}})
    called = subprocess.run(
        [buf, "curl", "--protocol", "grpc", "--http2-prior-knowledge", "-d", body, address],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert json.loads(called.stdout)["decision"]["model"] == "smollm2-135m"


async def test_a_stop_text_ends_the_answer_before_it(client: AsyncClient) -> None:
    answer = await client.execute(CAPITAL, sampling=Sampling(temperature=0.0, max_tokens=32, stop=(" is",)))
    assert answer.text == "The capital of France"
    assert answer.finish_reason == FinishReason.STOP


async def test_max_tokens_cuts_the_answer(client: AsyncClient) -> None:
    answer = await client.execute(CAPITAL, sampling=Sampling(temperature=0.0, max_tokens=3))
    assert answer.text == "The capital of"
    assert answer.finish_reason == FinishReason.LENGTH


async def test_log_probabilities_come_with_every_token(client: AsyncClient) -> None:
    answer = await client.execute(CAPITAL, sampling=Sampling(temperature=0.0, max_tokens=4, top_logprobs=2))
    assert [entry.token for entry in answer.logprobs] == ["The", " capital", " of", " France"]
    for entry in answer.logprobs:
        assert entry.logprob <= 0
        assert len(entry.top) == 2
        assert entry.top[0].logprob >= entry.top[1].logprob


async def test_a_seed_makes_sampling_repeatable_even_when_the_prompt_takes_several_steps(client: AsyncClient) -> None:
    # Longer than one step of the engine: this once killed it (docs/adr/0006).
    prompt = "Continue this story in your own way. " + "Once upon a time there was a fox. " * 200
    seeded = Sampling(temperature=1.0, seed=7, max_tokens=12)
    first = await client.execute(prompt, sampling=seeded)
    second = await client.execute(prompt, sampling=seeded)
    other = await client.execute(prompt, sampling=Sampling(temperature=1.0, seed=8, max_tokens=12))
    assert first.text == second.text != other.text


async def test_a_json_schema_is_enforced(client: AsyncClient) -> None:
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 20}, "people": {"type": "integer", "maximum": 99}},
        "required": ["city", "people"],
        "additionalProperties": False,
    }
    answer = await client.execute(
        "Name a city.", sampling=Sampling(temperature=0.0, max_tokens=200), response_format=JsonSchema(schema)
    )
    city = json.loads(answer.text)
    assert city.keys() == {"city", "people"}
    assert isinstance(city["people"], int)


async def test_a_schema_that_cannot_be_enforced_is_refused_and_the_engine_lives(client: AsyncClient) -> None:
    with pytest.raises(InvalidArgumentError) as refused:
        await client.execute("Name a city.", response_format=JsonSchema({"type": "nonsense"}), sampling=GREEDY)
    assert refused.value.field == "query.response_format"
    assert (await client.execute(CAPITAL, sampling=GREEDY)).text == "The capital of France is Paris."


async def test_any_json_object_can_be_asked_for(client: AsyncClient) -> None:
    answer = await client.execute(
        "Describe a cat as JSON.", sampling=Sampling(temperature=0.0, max_tokens=60), response_format=JsonObject()
    )
    assert answer.text.lstrip().startswith("{")


async def test_a_conversation_is_rendered_by_the_models_own_template(client: AsyncClient) -> None:
    answer = await client.execute(
        messages=[
            Message.user(CAPITAL),
            Message.assistant("The capital of France is Paris."),
            Message.user("And which country did I just ask about? Answer with one word."),
        ],
        sampling=GREEDY,
    )
    assert "France" in answer.text


def _tierway(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tierway_cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
