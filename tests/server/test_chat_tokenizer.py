"""Conversations to token ids, token ids to text: whole characters, in whatever pieces the tokens come, up to a stop."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.server.byte_tokenizer import byte_tokenizer, files
from tierway_server.backends.base import Message, Role
from tierway_server.backends.chat_tokenizer import ChatTokenizer, TokenizerUnusableError, TokenText

TOKENIZER = byte_tokenizer()
CHAT = (Message(Role.SYSTEM, "Be brief"), Message(Role.USER, "Où?"))
PROMPT = "<|im_start|>system\nBe brief<|im_end|>\n<|im_start|>user\nOù?<|im_end|>\n<|im_start|>assistant\n"

texts = st.text(st.characters(exclude_categories=("Cs",)))


def decoded(text: str, stops: tuple[str, ...] = (), step: int = 1) -> str:
    token_text = TokenText(TOKENIZER, TOKENIZER.encode("So: ").ids, stops)
    ids = TOKENIZER.encode(text, add_special_tokens=False).ids
    pieces = [token_text.take(ids[start : start + step]) for start in range(0, len(ids), step)]
    assert all("�" not in piece for piece in pieces) or "�" in text
    return "".join(pieces) + token_text.end()


def test_a_conversation_is_written_as_the_models_template_says() -> None:
    chat = ChatTokenizer(files())
    assert chat.tokenizer.decode(chat.prompt(CHAT, ""), skip_special_tokens=False) == PROMPT
    assert chat.prompt(CHAT, "")[0] == chat.tokenizer.token_to_id("<|im_start|>")


def test_what_was_answered_stands_in_the_assistants_turn() -> None:
    chat = ChatTokenizer(files())
    assert chat.tokenizer.decode(chat.prompt(CHAT, "À "), skip_special_tokens=False) == PROMPT + "À "


@pytest.mark.parametrize(
    "named",
    [
        {"chat_template.jinja": b"{{ bos_token }}{{ eos_token }}"},
        {"chat_template.json": json.dumps({"chat_template": "{{ bos_token }}{{ eos_token }}"}).encode()},
        {
            "tokenizer_config.json": json.dumps(
                {
                    "bos_token": "<s>",
                    "eos_token": {"content": "<|im_end|>"},
                    "chat_template": [
                        {"name": "tool_use", "template": "no"},
                        {"name": "default", "template": "{{ bos_token }}{{ eos_token }}"},
                    ],
                }
            ).encode()
        },
    ],
)
def test_a_template_may_stand_in_several_places_and_names_special_tokens(named: dict[str, bytes]) -> None:
    chat = ChatTokenizer(files() | named)
    assert chat.tokenizer.decode(chat.prompt(CHAT, ""), skip_special_tokens=False) == "<s><|im_end|>"


def test_templates_may_do_what_templates_of_models_do() -> None:
    template = (
        "{% for message in messages %}{% if loop.index > 1 %}{% break %}{% endif %}"
        "{% generation %}{{ {'é': '<'} | tojson }}{% endgeneration %}{% endfor %}{{ strftime_now('%Y') | length }}"
    )
    chat = ChatTokenizer(files(template))
    assert chat.tokenizer.decode(chat.prompt(CHAT, "")) == '{"é": "<"}4'


@pytest.mark.parametrize(
    "template",
    [
        "{{ raise_exception('no') }}",
        "{{ ''.__class__.__mro__ }}",
        "{{ messages.append(1) }}",
        "{{ messages[0]['x']['y'] }}",
    ],
)
def test_a_conversation_that_the_template_refuses_and_a_template_that_reaches_out_are_refused(template: str) -> None:
    with pytest.raises(TokenizerUnusableError, match="refuses the conversation"):
        ChatTokenizer(files(template)).prompt(CHAT, "")


@pytest.mark.parametrize(
    "named",
    [
        {"tokenizer.json": b"{}"},
        {"tokenizer_config.json": b"{}"},
        {"tokenizer_config.json": b"["},
        {"tokenizer_config.json": b"[]"},
        {"chat_template.jinja": b"{% if"},
        {"chat_template.jinja": b"\xff"},
    ],
)
def test_files_that_make_no_tokenizer_are_refused(named: dict[str, bytes]) -> None:
    with pytest.raises(TokenizerUnusableError):
        ChatTokenizer(files() | named)
    with pytest.raises(TokenizerUnusableError, match=r"no tokenizer\.json"):
        ChatTokenizer({})


@given(texts, st.integers(1, 5))
def test_text_comes_whole_however_its_bytes_are_cut(text: str, step: int) -> None:
    assert decoded(text, step=step) == text


@given(texts, st.integers(1, 5), st.lists(st.text("ab\n", min_size=1, max_size=4), min_size=1, max_size=4), st.data())
def test_text_ends_before_the_first_stop_that_is_complete(
    text: str, step: int, stops: list[str], data: st.DataObject
) -> None:
    text += data.draw(st.text("ab\n"))
    ends = [(place + len(stop), place) for stop in stops if (place := text.find(stop)) >= 0]
    assert decoded(text, tuple(stops), step) == (text[: min(ends)[1]] if ends else text)


def test_only_what_may_begin_a_stop_is_held_back() -> None:
    token_text = TokenText(TOKENIZER, [], ("END", "\n\n"))
    taken = [token_text.take(TOKENIZER.encode(piece).ids) for piece in ("a", "E", "N", "d\n", "\n", "more")]
    assert taken == ["a", "", "", "ENd", "", ""]
    assert token_text.is_stopped


def test_half_a_character_at_the_end_is_dropped() -> None:
    token_text = TokenText(TOKENIZER, [], ())
    assert token_text.take(TOKENIZER.encode("aé").ids[:-1]) + token_text.end() == "a"


@given(st.lists(st.integers(0, 257), max_size=30))
def test_tokens_that_are_no_characters_break_nothing(ids: list[int]) -> None:
    token_text = TokenText(TOKENIZER, [], ())
    text = "".join(token_text.take([each]) for each in ids) + token_text.end()
    text.encode()


def test_special_tokens_are_not_text() -> None:
    token_text = TokenText(TOKENIZER, [], ())
    assert token_text.take(TOKENIZER.encode("a<|im_end|>b").ids) == "ab"
