"""How long an answer may become, whatever the service does: a bound on what it sends, by characters and by pieces."""

from __future__ import annotations

_TOKEN_CHARACTERS = 64
_SPARE_CHARACTERS = 65_536
_TOKEN_PIECES = 8
"""Into which some services cut a token, at most: single characters."""
_SPARE_PIECES = 64


class Length:
    """What is left of the longest answer to one request. Far more than a service sends that keeps to what it was asked for."""

    __slots__ = ("_characters_left", "_pieces_left")

    def __init__(self, max_tokens: int) -> None:
        """Begin with all of it; `max_tokens` are the most that were asked for."""
        self._characters_left = max_tokens * _TOKEN_CHARACTERS + _SPARE_CHARACTERS
        self._pieces_left = max_tokens * _TOKEN_PIECES + _SPARE_PIECES

    def is_passed_by(self, piece: str) -> bool:
        """Whether the answer is too long with one more piece of it."""
        self._characters_left -= len(piece)
        self._pieces_left -= 1
        return self._characters_left < 0 or self._pieces_left < 0
