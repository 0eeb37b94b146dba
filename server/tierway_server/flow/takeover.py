"""Takeover: one seamless text of several tries. What the caller has been given is never taken back, given twice, or skipped.

So nothing is given that is not certain: half a character, or what may be the beginning of a stop text, waits for what follows it. When the
stream breaks, what waited is dropped, and the next deployment generates it anew: it goes on after text that ends in a whole character,
and a stop text is always one deployment's alone, which sees it whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tierway_server.backends.base import Chunk, FinishReason

_HIGH_SURROGATES = ("\ud800", "\udbff")


class Transcript:
    """The text that the caller has been given."""

    __slots__ = ("_held", "_stops", "_texts", "characters", "finish_reason", "tokens")

    def __init__(self, stops: Sequence[str] = ()) -> None:
        self.characters = 0
        """How many it has been given: code points."""
        self.tokens = 0
        """The tokens that they are."""
        self.finish_reason: FinishReason | None = None
        """Why the answer ended; None: it has not."""
        self._stops = stops
        self._texts: list[str] = []
        self._held: Chunk | None = None

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(self._texts)

    def passed(self, chunk: Chunk) -> Chunk | None:
        """What to give to the caller now that this has come; None while that is not certain."""
        if self._held is not None or self._stops or not chunk.text.isascii():
            certain = self._certain(chunk)
            if certain is None:
                return None
            chunk = certain
        if chunk.text:
            self._texts.append(chunk.text)
            self.characters += len(chunk.text)
        self.tokens += chunk.token_count
        self.finish_reason = chunk.finish_reason
        return chunk

    def cut(self) -> None:
        """The stream broke: what was not certain is generated anew."""
        self._held = None

    def _certain(self, chunk: Chunk) -> Chunk | None:
        if self._held is not None:
            chunk, self._held = _joined(self._held, chunk), None
        # Before stop texts are looked for: they have whole characters.
        chunk = replace(chunk, text=_paired(chunk.text))
        if chunk.finish_reason is None and (uncertain := self._uncertain_characters(chunk.text)):
            end = len(chunk.text) - uncertain
            # Log-probabilities go with their text: such a chunk is given whole or not at all.
            if chunk.logprobs or end == 0:
                self._held = chunk
                return None
            # Its tokens are counted with its last character: a cut takes them back.
            self._held = replace(chunk, text=chunk.text[end:])
            chunk = Chunk(chunk.text[:end], 0)
        return replace(chunk, text=_whole(chunk.text))

    def _uncertain_characters(self, text: str) -> int:
        """How many characters at the end of a text are not certain. What came before them cannot be part of a stop text that ends later."""
        if text and _HIGH_SURROGATES[0] <= text[-1] <= _HIGH_SURROGATES[1]:
            return 1 + self._stop_characters(text[:-1])
        return self._stop_characters(text)

    def _stop_characters(self, text: str) -> int:
        """How many characters at the end of a text may be the beginning of a stop text."""
        longest = max((len(stop) for stop in self._stops), default=1) - 1
        for characters in range(min(longest, len(text)), 0, -1):
            end = text[-characters:]
            if any(len(stop) > characters and stop.startswith(end) for stop in self._stops):
                return characters
        return 0


def _joined(first: Chunk, second: Chunk) -> Chunk:
    return replace(
        second,
        text=first.text + second.text,
        token_count=first.token_count + second.token_count,
        logprobs=first.logprobs + second.logprobs,
    )


def _paired(text: str, errors: str = "surrogatepass") -> str:
    """The same with halves of characters put together."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", errors)
    return text


def _whole(text: str) -> str:
    """The same; a half without its other half is no character, and stands as U+FFFD."""
    return _paired(text, "replace")
