"""What one request has come to, over all its tries: those that answered, failed, were outrun by another or stopped as weak."""

from __future__ import annotations

from tierway_server.backends.base import Usage
from tierway_server.flow.tries import Try


class Account:
    """The tries of one request. It is right at any moment, as each try counts what it costs while it is under way."""

    __slots__ = ("_tries",)

    def __init__(self) -> None:
        self._tries: list[Try] = []

    def opened(self, tried: Try) -> None:
        """Add a try, which begins."""
        self._tries.append(tried)

    @property
    def cost_picousd(self) -> int:
        """What all of them have cost so far."""
        return sum(tried.cost_picousd for tried in self._tries)

    @property
    def usage(self) -> Usage:
        """The tokens that all of them have cost so far; see `Try.usage`."""
        usages = [tried.usage for tried in self._tries]
        if len(usages) == 1:
            return usages[0]
        return Usage(
            input_tokens=sum(usage.input_tokens for usage in usages),
            cached_input_tokens=sum(usage.cached_input_tokens for usage in usages),
            output_tokens=sum(usage.output_tokens for usage in usages),
            reasoning_tokens=sum(usage.reasoning_tokens for usage in usages),
        )
