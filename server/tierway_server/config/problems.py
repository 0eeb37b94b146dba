"""What is wrong with a configuration: all problems of it at once, each in one line, none with a value that may be a secret."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

Location = tuple[int | str, ...]
"""Where in the configuration: keys and list indices from the root, such as ``("models", 2, "tier")``."""

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+")
_PATH_PART = re.compile(r'\[("(?:[^"\\]|\\.)*")\]|\[([0-9]+)\]|([^.\[\]]+)')


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing to mend."""

    path: str
    """Where in the merged configuration, such as ``models[2].deployments[0].engine``; empty when it is the file as a whole."""

    message: str
    """What is wrong, for a person, in one line."""

    source: str = ""
    """Where it was written: ``file:line``, the environment variable, or the override; empty when nobody wrote it."""

    def __str__(self) -> str:
        return ": ".join(part for part in (self.source, self.path, self.message) if part)


class ConfigError(Exception):
    """The configuration cannot be used. Not a TierwayError: no request is ever answered with it.

    Attributes:
        problems: everything that was found; at least one.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def path_of(location: Location) -> str:
    """Return ``models[2].tier`` for ``("models", 2, "tier")``; keys that would read wrongly are quoted in brackets."""
    path = ""
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        elif _PLAIN_KEY.fullmatch(part):
            path += f".{part}" if path else part
        else:
            path += f"[{quoted(part)}]"
    return path


def location_of(path: str) -> Location:
    """Return ``("models", 2, "tier")`` for ``models[2].tier``: what `path_of` undoes."""
    parts = _PATH_PART.findall(path)
    return tuple(int(index) if index else json.loads(quote) if quote else key for quote, index, key in parts)


def quoted(name: str) -> str:
    """Return `name` in quotes, on one line whatever is in it."""
    return json.dumps(name, ensure_ascii=not name.isprintable())
