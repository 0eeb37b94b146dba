"""Answers that are kept: what makes two requests the same, what is kept of an answer, and the store in this process."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from tierway_core import Request
from tierway_server.backends.base import Chunk, FinishReason, TokenLogprob, ToolCall
from tierway_server.flow.events import Finished
from tierway_server.flow.job import Job
from tierway_server.telemetry.metrics import Metrics

# What says how soon, how dear and by which experiment an answer comes, or follows from the messages. All else counts, new fields too.
_IDLE = frozenset(
    {"deadline_s", "latency_budget_s", "max_cost_picousd", "sticky_key", "prefix_key", "text", "extra_input_tokens"}
)
_MATTERS = tuple(name for name in dir(Request) if not name.startswith("_") and name not in _IDLE)

_ENTRY_BYTES = 200
"""What an entry takes in memory beside its key and its bytes, about."""

# JSON has whole numbers of any size, as schemas do; MessagePack has them up to 64 bits.
_encoder = msgspec.json.Encoder(order="deterministic")


def cache_key(job: Job, identity: bytes) -> bytes:
    """What stands for all that an answer may depend on, 32 bytes: equal keys, requests that are the same.

    The tenant is part of it: nobody is given another tenant's answer, or could find out what it asks by how fast the answer comes.

    Args:
        job: the decided request; the model that was chosen counts too.
        identity: what stands for the configuration.

    """
    request = job.decision.request
    asked = (
        identity,
        job.decision.model.name,
        [getattr(request, name) for name in _MATTERS],
        job.messages,
        job.sampling,
        job.max_tokens,
        job.json_schema,
        job.tools,
        job.escalates is not False,
        job.allow_takeover,
    )
    return hashlib.blake2b(_encoder.encode(asked), digest_size=32).digest()


class Kept(msgspec.Struct, array_like=True, frozen=True):
    """An answer that is kept."""

    made_s: float
    """When it was complete, Unix time."""
    model: str
    deployment: str
    text: str
    tokens: int
    finish_reason: FinishReason
    logprobs: tuple[TokenLogprob, ...]
    tool_calls: tuple[ToolCall, ...]
    confidence: float | None

    @classmethod
    def of(cls, chunks: Sequence[Chunk], finished: Finished, now_s: float) -> Kept:
        """What to keep of an answer that came in `chunks`."""
        answered = finished.attempts[-1]
        return cls(
            made_s=now_s,
            model=answered.model,
            deployment=answered.deployment,
            text="".join(chunk.text for chunk in chunks),
            tokens=sum(chunk.token_count for chunk in chunks),
            finish_reason=finished.finish_reason,
            logprobs=tuple(token for chunk in chunks for token in chunk.logprobs),
            tool_calls=tuple(call for chunk in chunks for call in chunk.tool_calls),
            confidence=finished.confidence,
        )


encode_kept = msgspec.msgpack.Encoder().encode
decode_kept = msgspec.msgpack.Decoder(Kept).decode
"""Raises msgspec.MsgspecError, or UnicodeDecodeError, for what is no kept answer, or one of another version."""


class Store(Protocol):
    """Where kept answers are. Loses them as it likes; never fails and never waits for long."""

    async def get(self, key: bytes) -> bytes | None:
        """What is kept under this key."""

    async def put(self, key: bytes, entry: bytes, keep_s: float) -> None:
        """Keep it for so many seconds, or shorter."""

    async def close(self) -> None:
        """Let go of what it holds."""


class Memory:
    """The store in this process, bounded in bytes: what was not used for longest makes room. Lives on the event loop."""

    def __init__(self, max_bytes: int, metrics: Metrics, clock: Callable[[], float] = time.monotonic) -> None:
        self._max_bytes = max_bytes
        self._metrics = metrics
        self._clock = clock
        self._entries: OrderedDict[bytes, tuple[float, bytes]] = OrderedDict()
        self.bytes = 0
        """What is held, by estimate."""

    async def get(self, key: bytes) -> bytes | None:
        """What is kept under this key."""
        found = self._entries.get(key)
        if found is None:
            return None
        until_s, entry = found
        if until_s <= self._clock():
            self._drop(key)
            return None
        self._entries.move_to_end(key)
        return entry

    async def put(self, key: bytes, entry: bytes, keep_s: float) -> None:
        """Keep it for so many seconds, or shorter."""
        if key in self._entries:
            self._drop(key)
        if _size(key, entry) > self._max_bytes:
            return  # all others would make room in vain
        self._entries[key] = (self._clock() + keep_s, entry)
        self.bytes += _size(key, entry)
        while self.bytes > self._max_bytes:
            self._drop(next(iter(self._entries)))
            self._metrics.cache_evicted()

    async def close(self) -> None:
        """Forget everything."""
        self._entries.clear()
        self.bytes = 0

    def _drop(self, key: bytes) -> None:
        _, entry = self._entries.pop(key)
        self.bytes -= _size(key, entry)


def _size(key: bytes, entry: bytes) -> int:
    return len(key) + len(entry) + _ENTRY_BYTES
