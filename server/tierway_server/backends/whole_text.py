"""Text that comes in pieces, passed on in whole characters.

A provider that cuts between tokens may cut inside a character: JSON then holds half of a surrogate pair, or bytes that are no UTF-8
(decoded with "surrogateescape", each is a code point from U+DC80 to U+DCFF). Half a character is held back until the rest comes; what
never becomes whole is replaced by U+FFFD, so that text is always encodable.
"""

from __future__ import annotations

import codecs
import re

_SURROGATE = re.compile(r"[\ud800-\udfff]")
_PAIR = re.compile(r"[\ud800-\udbff][\udc00-\udfff]")
_BYTES = re.compile(r"[\udc80-\udcff]+")
_HIGH_AT_END = re.compile(r"[\ud800-\udbff]\Z")
_REPLACEMENT = "\ufffd"


class WholeText:
    """Puts the pieces of one text together."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held = ""

    def take(self, piece: str) -> str:
        """Take the next piece, and return what is whole by now."""
        if not self._held and (piece.isascii() or not _SURROGATE.search(piece)):
            return piece
        text = _PAIR.sub(_joined, self._held + piece)
        self._held = _unfinished(text)
        return _mended(text[: len(text) - len(self._held)])

    def end(self) -> str:
        """Nothing more comes: return what stands for the rest."""
        rest, self._held = self._held, ""
        return _mended(rest)


def encodable(text: str) -> str:
    """Return `text` with U+FFFD for whatever is no character."""
    return text if text.isascii() else _mended(_PAIR.sub(_joined, text))


def _joined(pair: re.Match[str]) -> str:
    return pair[0].encode("utf-16-le", "surrogatepass").decode("utf-16-le")


def _unfinished(text: str) -> str:
    """The end of `text` that may be the beginning of a character."""
    if high := _HIGH_AT_END.search(text):
        return high[0]
    run = len(text)
    while run and "\udc80" <= text[run - 1] <= "\udcff":
        run -= 1
    if run == len(text):
        return ""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    decoder.decode(text[run:].encode("utf-8", "surrogateescape"))
    pending, _ = decoder.getstate()
    return text[len(text) - len(pending) :] if pending else ""


def _mended(text: str) -> str:
    if not _SURROGATE.search(text):
        return text
    text = _BYTES.sub(lambda run: run[0].encode("utf-8", "surrogateescape").decode("utf-8", "replace"), text)
    return _SURROGATE.sub(_REPLACEMENT, text)
