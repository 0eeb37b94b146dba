"""A model's tokenizer and chat template, from its own files: for engines that take token ids and give token ids.

What `transformers` does with the same files, without it: the tokenizer is the Rust one, the template is rendered by Jinja in its sandbox.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tierway_server.backends.base import Message

if TYPE_CHECKING:
    import jinja2
    from tokenizers import Tokenizer

FILES = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "chat_template.json")
"""The files of a model that are read; only the first one must be there, and a template in one of the others."""

_PRIMING_TOKENS = 16
"""As many tokens of the prompt decide how the first token of the answer is written, above all whether with a space."""


class TokenizerUnusableError(Exception):
    """Files make no tokenizer with a chat template. Its text is one line for the operator."""


class ChatTokenizer:
    """Turns conversations into token ids and token ids into text. Safe to use from several threads."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        """Read the model's files, by their names. Takes up to a second.

        Raises:
            TokenizerUnusableError: they are none.

        """
        from jinja2 import TemplateError
        from tokenizers import Tokenizer

        if "tokenizer.json" not in files:
            raise TokenizerUnusableError("there is no tokenizer.json")
        try:
            self.tokenizer: Tokenizer = Tokenizer.from_buffer(files["tokenizer.json"])
        except Exception as error:  # it raises nothing narrower
            raise TokenizerUnusableError("tokenizer.json cannot be read") from error
        try:
            self._special, self._template = _template(files)
        except (TemplateError, ValueError, TypeError, AttributeError, LookupError, RecursionError) as error:
            raise TokenizerUnusableError("the chat template cannot be read") from error

    def prompt(self, messages: Sequence[Message], answered: str) -> list[int]:
        """Token ids of a conversation, up to where the assistant goes on after `answered`.

        Raises:
            TokenizerUnusableError: the template refuses the conversation, such as one without a user's turn.

        """
        from jinja2 import TemplateError

        turns = [{"role": message.role.name.lower(), "content": message.text} for message in messages]
        try:
            text = self._template.render(messages=turns, add_generation_prompt=True, **self._special)
        except (TemplateError, TypeError, ValueError, LookupError) as error:
            raise TokenizerUnusableError("the model's chat template refuses the conversation") from error
        # The template has written the special tokens.
        return self.tokenizer.encode(text + answered, add_special_tokens=False).ids

    def token(self, token_id: int) -> str:
        """The text of one token alone; of a part of a character a replacement character."""
        return self.tokenizer.decode([token_id], skip_special_tokens=False)


class TokenText:
    """The text of an answer whose tokens come one after another, in whole characters, up to the first of the stops that is complete."""

    def __init__(self, tokenizer: Tokenizer, prompt: Sequence[int], stops: Sequence[str]) -> None:
        from tokenizers.decoders import DecodeStream

        self.is_stopped = False
        """Whether one of the stops came: nothing more follows."""
        self._tokenizer = tokenizer
        self._stream = DecodeStream(ids=list(prompt[-_PRIMING_TOKENS:]), skip_special_tokens=True)
        self._stops = stops
        self._held = ""

    def take(self, token_ids: Sequence[int]) -> str:
        """Take the next tokens, and return the text that is certain by now.

        Held back are characters that are not whole yet, and what may be the beginning of a stop.
        """
        text = self._held + "".join(filter(None, map(self._step, token_ids)))
        self._held = ""
        if self.is_stopped:
            return ""
        # The first to be complete, however many tokens came at once.
        found = [(place + len(stop), place) for stop in self._stops if (place := text.find(stop)) >= 0]
        if found:
            self.is_stopped = True
            return text[: min(found)[1]]
        kept = max((_beginning(text, stop) for stop in self._stops), default=0)
        self._held = text[len(text) - kept :]
        return text[: len(text) - kept]

    def end(self) -> str:
        """Nothing more comes: return what was held back for a stop. A character that never became whole is dropped, as vLLM does."""
        text, self._held = self._held, ""
        return text

    def _step(self, token_id: int) -> str | None:
        from tokenizers.decoders import DecodeStream

        try:
            return self._stream.step(self._tokenizer, token_id)
        except Exception:  # noqa: BLE001  # it raises nothing narrower
            # Bytes that are no character can break the stream's idea of what it wrote (vllm-project/vllm#17448): begin a new one.
            self._stream = DecodeStream(skip_special_tokens=True)
            return self._stream.step(self._tokenizer, token_id)


def _beginning(text: str, stop: str) -> int:
    """How many characters at the end of `text` may be the beginning of `stop`."""
    for length in range(min(len(text), len(stop) - 1), 0, -1):
        if text.endswith(stop[:length]):
            return length
    return 0


def _template(files: Mapping[str, bytes]) -> tuple[dict[str, str], jinja2.Template]:
    """The special tokens that a template may name, and the template."""
    settings = json.loads(files.get("tokenizer_config.json", b"{}"))
    special = {}
    for name, value in settings.items():
        if name.endswith("_token") and (token := value.get("content") if isinstance(value, dict) else value):
            special[name] = str(token)
    if (source := files.get("chat_template.jinja")) is not None:
        text: Any = source.decode()
    elif (source := files.get("chat_template.json")) is not None:
        text = json.loads(source)["chat_template"]
    else:
        text = settings["chat_template"]
    if isinstance(text, list):  # several, by name
        text = {each["name"]: each["template"] for each in text}["default"]
    return special, _environment().from_string(text)


def _environment() -> jinja2.Environment:
    """What templates of models are written for."""
    from jinja2 import TemplateError, nodes
    from jinja2.ext import Extension, loopcontrols
    from jinja2.parser import Parser
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        """Marks the assistant's words, for training; without a meaning here."""

        tags = {"generation"}  # noqa: RUF012  # as jinja2 declares it

        def parse(self, parser: Parser) -> list[nodes.Node]:
            next(parser.stream)
            return parser.parse_statements(("name:endgeneration",), drop_needle=True)

    def raise_exception(message: str) -> None:
        raise TemplateError(message)

    def to_json(value: object, **layout: Any) -> str:
        # Jinja's own writes for HTML.
        return json.dumps(value, **{"ensure_ascii": False, **layout})

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols]
    )
    environment.filters["tojson"] = to_json
    environment.globals["raise_exception"] = raise_exception
    environment.globals["strftime_now"] = lambda layout: datetime.now(UTC).astimezone().strftime(layout)
    return environment
