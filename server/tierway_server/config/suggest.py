"""Did you mean: the nearest of the names that exist."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from tierway_server.config.problems import quoted

_MOST_LISTED = 6


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``; did you mean "x"?``, or the names that exist when they are few, or nothing: ready to append to a message."""
    names = sorted(known)
    close = get_close_matches(name, names, n=1)
    if close:
        return f"; did you mean {quoted(close[0])}?"
    if 0 < len(names) <= _MOST_LISTED:
        return "; there is " + ", ".join(map(quoted, names))
    return ""
