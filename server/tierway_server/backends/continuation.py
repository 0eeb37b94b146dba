"""Going on with an answer that broke off, on an engine that cannot continue an assistant's turn: it is asked to, in words.

The text so far becomes the assistant's turn, and a turn of the user's asks for the rest (`asked_to_continue`). Models obey, mostly; some
begin again, or repeat the last words first. `Continuation` takes their reply as it comes and drops what was said already, by these rules:

1. Only the beginning of the reply is looked at. What is passed on once is never taken back, and nothing is dropped after it.
2. A repetition is a beginning of the reply that is, character for character, the whole text so far (of at least `LEAST_WHOLE_CHARACTERS`)
   or an end of it (of at least `LEAST_END_CHARACTERS`); the longest one is dropped. Anything shorter may be meant, as the next "ha" of a
   laugh is, and stays: a short repetition is shown twice rather than that a word is lost.
3. A reply is held back only while all that came of it could still become such a repetition.
4. A reply that begins again and ends before it has caught up with the text says nothing new: it is dropped, if it has at least
   `LEAST_END_CHARACTERS`.

What begins again in other words is no repetition: it is passed on, for nobody could say where it catches up.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncGenerator, Mapping
from dataclasses import replace
from typing import Any

from tierway_server.backends.base import Chunk, Message, Role, TokenLogprob

LEAST_END_CHARACTERS = 16
"""The shortest repetition of the text's end: four "ha " and more, a line of code. Shorter ones are common in lists, tables and braces."""

LEAST_WHOLE_CHARACTERS = 8
"""The shortest repetition of the whole text. An answer that says its first eight characters or more twice in a row is rare, one that
begins again after a handful of tokens is not."""

INSTRUCTION = (
    "Your previous message was cut off. Continue it exactly after its last character: the first character that you write follows that "
    "one directly, even in the middle of a word, so begin with a space or a line break where one belongs there. Do not repeat anything "
    "of it, do not begin again, do not comment, and do not open a quotation or a code block that is open already."
)

_JSON = (
    " Your previous message and this continuation together must be one JSON object that satisfies this JSON Schema: "
)


def asked_to_continue(
    messages: tuple[Message, ...], answered: str, json_schema: Mapping[str, Any] | None = None
) -> tuple[Message, ...]:
    """Return the conversation that asks for the rest of an answer of which `answered` is there.

    Nothing but white space is as good as nothing: then the conversation itself asks for the answer.

    Args:
        messages: the conversation.
        answered: the text so far.
        json_schema: what the whole answer must satisfy; see `Generation.json_schema`. It has to be said in words here: an engine that
            is held to it would begin again.

    """
    if not answered.strip():
        return messages
    instruction = (
        INSTRUCTION if json_schema is None else INSTRUCTION + _JSON + json.dumps(json_schema, ensure_ascii=False)
    )
    return (*messages, Message(Role.ASSISTANT, answered), Message(Role.USER, instruction))


class Continuation:
    """Drops what a reply repeats of the text so far; see the rules above. One reply each."""

    def __init__(self, answered: str) -> None:
        self.dropped_characters = 0
        """How much of the reply was dropped; final as soon as something was passed on."""
        self._answered = answered
        self._held = ""
        self._first = 0
        """The first place in `answered` from which it could go on as the reply does; no earlier one comes back."""
        self._is_open = True

    def take(self, piece: str) -> str:
        """Take the next piece of the reply, and return what may be passed on now."""
        if not self._is_open:
            return piece
        self._held += piece
        if self._may_repeat():
            return ""
        return self._release(self._repeated())

    def end(self) -> str:
        """The reply is over: return what was held back and is no repetition."""
        if not self._is_open:
            return ""
        length = self._repeated()
        if not length and len(self._held) >= LEAST_END_CHARACTERS and self._answered.startswith(self._held):
            length = len(self._held)
        return self._release(length)

    def _may_repeat(self) -> bool:
        """Whether what came so far could become a repetition, or a longer one than it is."""
        # The first place is the one with the longest repetition: where that one is too short, all are.
        self._first = self._answered.find(self._held, self._first)
        return self._first >= 0 and len(self._held) < len(self._answered) - self._first and self._counts(self._first)

    def _repeated(self) -> int:
        """How many characters of what came repeat the text so far."""
        start = 0
        beginning = self._held[:LEAST_WHOLE_CHARACTERS]
        while len(beginning) == LEAST_WHOLE_CHARACTERS and (start := self._answered.find(beginning, start)) >= 0:
            if self._counts(start) and self._held.startswith(self._answered[start:]):
                return len(self._answered) - start
            start += 1
        return 0

    def _counts(self, start: int) -> bool:
        """Whether the text from `start` on, said again, is a repetition."""
        return len(self._answered) - start >= (LEAST_END_CHARACTERS if start else LEAST_WHOLE_CHARACTERS)

    def _release(self, dropped: int) -> str:
        passed, self._held = self._held[dropped:], ""
        self.dropped_characters = dropped
        self._is_open = False
        return passed


async def continued(chunks: AsyncGenerator[Chunk, None], answered: str) -> AsyncGenerator[Chunk, None]:
    """Yield the chunks of a reply without what it repeats of `answered`.

    Chunks that are held back are merged into the next one. Their tokens stay counted, for they were generated; log-probabilities come for
    those tokens only of which something is passed on. Closing this closes `chunks`.
    """
    continuation = Continuation(answered)
    tokens = 0
    logprobs: tuple[TokenLogprob, ...] = ()
    has_begun = False
    async with contextlib.aclosing(chunks):
        async for chunk in chunks:
            is_last = chunk.finish_reason is not None
            text = continuation.take(chunk.text) + (continuation.end() if is_last else "")
            tokens, logprobs = tokens + chunk.token_count, logprobs + chunk.logprobs
            if text or is_last:
                shown = logprobs if has_begun else _after(continuation.dropped_characters, logprobs)
                yield replace(chunk, text=text, token_count=tokens, logprobs=shown)
                tokens, logprobs, has_begun = 0, (), True


def _after(characters: int, logprobs: tuple[TokenLogprob, ...]) -> tuple[TokenLogprob, ...]:
    """The tokens that reach beyond the first `characters` of their text."""
    if not characters:
        return logprobs
    for index, each in enumerate(logprobs):
        characters -= len(each.token)
        if characters < 0:
            return logprobs[index:]
    return ()
