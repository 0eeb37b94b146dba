"""Calls in the text of a model, by vLLM's own parsers: no engine, but its real tokenizer, and text that comes in any pieces."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierway_server.backends.base import (
    Chunk,
    FinishReason,
    Generation,
    Message,
    Role,
    Sampling,
    Tool,
    ToolCall,
    ToolMode,
    Tools,
)
from tierway_server.backends.vllm_params import sampling_params
from tierway_server.backends.vllm_prompt import Prompter, offered
from tierway_server.backends.vllm_tools import ToolParsing, check_tool_parser
from tierway_server.config.tool_parsers import tool_parser_names
from tierway_server.errors import ModelUnavailableError, NotOfferedError

_AT = {"type": "object", "properties": {"at": {"type": "string"}}, "required": ["at"]}
TOOLS = Tools(
    tools=(
        Tool(name="weather", description="How warm it is", parameters=_AT),
        Tool(name="now", description="", parameters={}),
    )
)
CALLED = """Let me see.
<tool_call>
{"name": "weather", "arguments": {"at": "Köln \\u00df 😀"}}
</tool_call>
<tool_call>
{"name": "now", "arguments": {}}
</tool_call>"""
PROMPT = [1, 2, 3]


def make_tokenizer() -> Any:
    """One token a byte, and a template that shows all that it is given."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={symbol: index for index, symbol in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    made = PreTrainedTokenizerFast(tokenizer_object=tokenizer)
    made.chat_template = (
        "{% if tools %}{{ tools | tojson }}\n{% endif %}{% for message in messages %}{{ message | tojson }}\n{% endfor %}"
        "{% if add_generation_prompt %}assistant:\n{% endif %}"
    )
    return made


TOKENIZER = make_tokenizer()
HERMES = ToolParsing("hermes", TOKENIZER)


def generation(**changes: Any) -> Generation:
    values: dict[str, Any] = {
        "id": "g",
        "messages": (Message(Role.USER, "How warm is it?"),),
        "sampling": Sampling(),
        "max_tokens": 99,
        "tools": TOOLS,
    }
    return Generation(**values | changes)


def params_of(asked: Generation) -> Any:
    return sampling_params(asked, asked.max_tokens, 0.7)


def read(text: str, cuts: list[int], reason: FinishReason = FinishReason.STOP, tools: Tools = TOOLS) -> Chunk:
    """All that is made of a text that comes in pieces, in one chunk."""
    asked = generation(tools=tools)
    calls = HERMES.begin(tools, params_of(asked))
    edges = [0, *sorted({cut % len(text) for cut in cuts} - {0}), len(text)]
    passed = ""
    last = Chunk("", 0)
    for begin, end in itertools.pairwise(edges):
        piece = text[begin:end]
        chunk = Chunk(piece, 1, finish_reason=reason if end == len(text) else None)
        last = calls.taken_out(chunk, TOKENIZER.encode(piece), PROMPT)
        passed += last.text
        assert end == len(text) or not last.tool_calls
    return replace(last, text=passed)


def told(calls: tuple[ToolCall, ...]) -> list[tuple[str, Mapping[str, Any]]]:
    return [(call.name, json.loads(call.arguments)) for call in calls]


@given(st.lists(st.integers(0, 10_000), max_size=12))
def test_calls_come_whole_and_what_is_no_call_is_text(cuts: list[int]) -> None:
    answer = read(CALLED, cuts)
    assert answer.text.strip() == "Let me see."
    assert told(answer.tool_calls) == [("weather", {"at": "Köln ß 😀"}), ("now", {})]
    assert answer.finish_reason is FinishReason.TOOL_CALLS
    assert len({call.id for call in answer.tool_calls} - {""}) == 2


@given(
    st.sampled_from(["It is warm.", "1 < 2", "half <tool_", "<", "<tool", "a <tool b"]),
    st.lists(st.integers(0, 99), max_size=4),
)
def test_an_answer_without_calls_loses_nothing(text: str, cuts: list[int]) -> None:
    answer = read(text, cuts)
    assert (answer.text, answer.tool_calls, answer.finish_reason) == (text, (), FinishReason.STOP)


@given(st.integers(CALLED.index("}}") + 2, CALLED.rindex("}}")), st.lists(st.integers(0, 10_000), max_size=6))
def test_a_call_that_was_cut_short_is_left_out(length: int, cuts: list[int]) -> None:
    answer = read(CALLED[:length], cuts, FinishReason.LENGTH)
    assert told(answer.tool_calls) == [("weather", {"at": "Köln ß 😀"})]
    assert answer.finish_reason is FinishReason.LENGTH


@pytest.mark.parametrize(
    "tools",
    [replace(TOOLS, mode=ToolMode.REQUIRED), replace(TOOLS, name="weather"), replace(TOOLS, parallel=False)],
    ids=["required", "named", "not in parallel"],
)
def test_a_stated_choice_is_enforced_by_a_grammar(tools: Tools) -> None:
    params = params_of(generation(tools=tools))
    HERMES.begin(tools, params)
    tag = params.structured_outputs.structural_tag
    assert "weather" in tag
    assert '"required": ["at"]' in tag  # the arguments, too
    if tools.name:
        assert "now" not in tag


def test_a_free_choice_leaves_the_model_free() -> None:
    params = params_of(generation())
    HERMES.begin(TOOLS, params)
    assert params.structured_outputs is None
    assert not params.skip_special_tokens


def test_a_choice_that_nothing_enforces_is_refused() -> None:
    """The pythonic form has no grammar in vLLM."""
    tools = replace(TOOLS, parallel=False)
    with pytest.raises(NotOfferedError) as caught:
        ToolParsing("pythonic", TOKENIZER).begin(tools, params_of(generation(tools=tools)))
    assert caught.value.field == "query.tool_choice"


@pytest.mark.parametrize("name", ["nobody", "mistral"])
def test_a_parser_that_is_unknown_or_does_not_fit_the_tokenizer_keeps_the_engine_down(name: str) -> None:
    with pytest.raises(ModelUnavailableError, match=name):
        ToolParsing(name, TOKENIZER)


def test_the_names_that_configurations_are_checked_by_are_vllm_s_own() -> None:
    from vllm.tool_parsers import ToolParserManager

    assert tool_parser_names() == set(ToolParserManager.list_registered())


def test_a_name_that_is_unknown_is_told_before_anything_is_loaded() -> None:
    check_tool_parser("hermes")
    with pytest.raises(ModelUnavailableError, match='vLLM has no tool parser "nobody"'):
        check_tool_parser("nobody")


def prompt_of(asked: Generation) -> str:
    text: str = TOKENIZER.decode(Prompter(TOKENIZER).encode(asked))
    return text


def test_the_template_is_told_of_tools_calls_and_results() -> None:
    messages = (
        Message(Role.USER, "How warm is it?"),
        Message(
            Role.ASSISTANT,
            "",
            tool_calls=(ToolCall("c-1", "weather", '{"at": "Köln"}'), ToolCall("c-2", "now", "no JSON")),
        ),
        Message(Role.TOOL, "7", tool_call_id="c-1"),
        Message(Role.TOOL, "noon", tool_call_id="c-2"),
    )
    tools, *turns, beginning = prompt_of(generation(messages=messages)).splitlines()
    assert [tool["function"]["name"] for tool in json.loads(tools)] == ["weather", "now"]
    _, called, first, second = map(json.loads, turns)
    assert [call["function"] for call in called["tool_calls"]] == [
        {"name": "weather", "arguments": {"at": "Köln"}},
        {"name": "now", "arguments": "no JSON"},
    ]
    assert first == {"role": "tool", "content": "7", "tool_call_id": "c-1", "name": "weather"}
    assert (second["name"], beginning) == ("now", "assistant:")


def test_a_model_that_must_not_call_is_not_told_of_tools() -> None:
    asked = generation(tools=replace(TOOLS, mode=ToolMode.NONE))
    assert offered(asked) is None
    assert prompt_of(asked) == prompt_of(generation(tools=None))


@pytest.mark.parametrize("answered", ["It is", " It is ", "\nIt is\n", "K\u00f6", "It is warm. " * 1_000])
def test_what_was_answered_begins_the_assistant_s_own_turn(answered: str) -> None:
    prompter = Prompter(TOKENIZER)
    asked = prompter.encode(generation())
    assert TOKENIZER.decode(prompter.encode(generation(answered=answered))[len(asked) :]) == answered


async def test_a_long_prompt_is_the_same_from_the_thread() -> None:
    prompter = Prompter(TOKENIZER)
    asked = generation(answered="It is warm. " * 1_000)
    assert await prompter.tokens(asked) == prompter.encode(asked)
    prompter.close()


@pytest.mark.parametrize("schema", [{}, {"type": "object"}])
def test_an_answer_that_was_begun_is_not_held_to_its_form_from_the_start(schema: Mapping[str, Any]) -> None:
    assert params_of(generation(json_schema=schema)).structured_outputs is not None
    assert params_of(generation(json_schema=schema, answered='{"a')).structured_outputs is None
