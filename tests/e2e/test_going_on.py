"""A real engine goes on with an answer that another one began, and calls functions: the embedded model, without a server around it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tierway_server.backends import embedded_model, vllm_engine
from tierway_server.backends.base import (
    Chunk,
    FinishReason,
    Generation,
    Message,
    Role,
    Sampling,
    Tool,
    ToolMode,
    Tools,
)
from tierway_server.config import EngineConfig

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(300),  # of which the first test takes most: it starts the engine
]

MOST_TOKENS = 24


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine() -> AsyncIterator[vllm_engine.VllmEngine]:
    """An engine of its own: one that runs one request at a time computes the same numbers each time."""
    config = EngineConfig.model_validate(
        {
            "model": "embedded",
            "context_tokens": 1_024,
            "max_num_seqs": 1,
            "max_num_batched_tokens": 512,
            "dtype": "float32",  # coarser numbers differ between one token a step and many
            "kv_cache_gib": 0.25,
            "enforce_eager": True,
            "coalesce_window_s": 0,
            "tool_parser": "hermes",
        }
    )
    folder = await asyncio.to_thread(embedded_model.prepare)
    engine = await vllm_engine.launch("going-on", str(folder), config)
    yield engine
    await asyncio.to_thread(engine.shutdown)


class Asking:
    """Asks, each time under a new name."""

    def __init__(self, engine: vllm_engine.VllmEngine) -> None:
        self._engine = engine
        self._asked = 0

    async def chunks(self, question: str, **changes: Any) -> list[Chunk]:
        self._asked += 1
        values: dict[str, Any] = {"sampling": Sampling(temperature=0.0), "max_tokens": MOST_TOKENS}
        generation = Generation(
            id=f"{question}-{self._asked}", messages=(Message(Role.USER, question),), **values | changes
        )
        return [chunk async for chunk in self._engine.generate(generation)]


@pytest.mark.parametrize(
    "question", ["What is the capital of France?", "Name three colours.", "Write a haiku about the sea."]
)
async def test_cut_at_any_token_the_text_is_the_same_as_uncut(engine: vllm_engine.VllmEngine, question: str) -> None:
    asking = Asking(engine)
    uncut = await asking.chunks(question)
    whole = "".join(chunk.text for chunk in uncut)
    assert uncut[-1].usage is not None
    differ = 0
    for end in range(1, len(uncut)):
        answered = "".join(chunk.text for chunk in uncut[:end])
        left = MOST_TOKENS - sum(chunk.token_count for chunk in uncut[:end])
        rest = await asking.chunks(question, answered=answered, max_tokens=left)
        text = answered + "".join(chunk.text for chunk in rest)
        # Not a word of what was there comes again, however the rest goes on.
        assert not text[len(answered) :].lstrip().startswith(whole[:12])
        differ += text != whole
        usage = rest[-1].usage
        assert usage is not None
        assert usage.input_tokens == uncut[-1].usage.input_tokens + sum(chunk.token_count for chunk in uncut[:end])
    assert differ == 0


async def test_cut_inside_a_word_it_goes_on_with_the_word(engine: vllm_engine.VllmEngine) -> None:
    rest = await Asking(engine).chunks("What is the capital of France?", answered="The capital of Fran")
    assert rest[0].text[0].islower()


async def test_a_call_that_is_required_comes_whole_and_by_its_schema(engine: vllm_engine.VllmEngine) -> None:
    parameters = {
        "type": "object",
        "properties": {"city": {"enum": ["Paris", "Rome"]}},
        "required": ["city"],
        "additionalProperties": False,
    }
    tool = Tool(name="weather", description="How warm it is in a city", parameters=parameters)
    tools = Tools(tools=(tool,), mode=ToolMode.REQUIRED, parallel=False)
    chunks = await Asking(engine).chunks("How warm is it in Paris?", tools=tools, max_tokens=64)
    *before, last = chunks
    [call] = last.tool_calls
    assert not any(chunk.tool_calls for chunk in before)
    assert call.name == "weather"
    assert json.loads(call.arguments)["city"] in ("Paris", "Rome")
    assert last.finish_reason is FinishReason.TOOL_CALLS
    assert "".join(chunk.text for chunk in chunks).strip() == ""
