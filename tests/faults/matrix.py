"""The fault matrix: what a caller gets when a provider fails in each way that providers have.

Each cell is a whole server before providers that are told what to do: alone with the faulty one, and with a good one to fall back on;
asked through `Execute` and through `Stream`; the faulty one speaks each of the wires that there are.
`python -m tests.faults.matrix` writes `docs/fault-matrix.md`, and `test_matrix.py` holds it to the truth.
"""

from __future__ import annotations

import asyncio
import math
import tempfile
from collections.abc import AsyncGenerator, Collection, Iterable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any
from unittest import mock

import grpc

from tests.faults.dialects import HTTP, WIRES
from tests.faults.faulty import Faulty, Row, Serve, good
from tests.faults.rows import ROWS
from tests.faults.upstream import upstream
from tests.server.refusal import refusal_of
from tests.server.running import RunningServer, serving
from tierway.v1 import router_service_pb2 as rpc
from tierway.v1 import types_pb2
from tierway_server.backends.base import Chunk, Generation

PAGE = Path(__file__).parents[2] / "docs" / "fault-matrix.md"
COLUMNS = (
    "fault",
    "first token",
    "wires",
    "alone, `Execute`",
    "alone, `Stream`",
    "with a fallback, `Execute`",
    "with a fallback, `Stream`",
)
MAX_TOKENS = 8
_FAULTY = 0
"""The index of its deployment."""
_LONG_CHARACTERS = 40
_PRICE = {"input": 100.0, "cached_input": 100.0, "output": 1_000.0}
"""In USD for a million tokens; high, so that the costs of a few tokens can be read."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What the caller got."""

    text: str
    status: str
    """`OK`, or the code and the reason."""
    attempts: tuple[Any, ...] = ()
    cost_usd: float | None = None
    """As the reply says; None: there was none."""


def configuration(folder: Path, faulty: Faulty, row: Row, fallback_url: str | None) -> dict[str, Any]:
    """The faulty provider first, the other one as its fallback."""
    key = folder / "key"
    key.write_text("sk-0123456789")
    urls = {"faulty": faulty.base_url} | ({"good": fallback_url} if fallback_url else {})
    # With a key nobody looks whether an HTTP server is there: only the request finds out.
    common = {"kind": "openai", "api_key": f"file:{key}", "coalesce_window_s": 0}
    own = {"kind": faulty.kind, **row.provider}
    return {
        "server": {"listen": "127.0.0.1:0", "admin_listen": "127.0.0.1:0", "http_listen": "127.0.0.1:0"},
        "routing": {
            "classifier": {"enabled": False},
            "floors": dict.fromkeys(("trivial", "simple", "moderate", "complex"), 1),
            "accurate_tier": 1,
            "governance": {"tier": 1},
        },
        "budgets": {"all": {"limit_usd": 1_000.0}},
        "tenants": {"default": {"budget": "all"}},
        "providers": {
            name: {**common, "base_url": url, **(own if name == "faulty" else {})} for name, url in urls.items()
        },
        "models": [
            {
                "name": name,
                "tier": 1,
                "context_tokens": 8_192,
                "compliance": 0.9 if name == "faulty" else 0.8,
                "price_usd_per_million_tokens": _PRICE,
                "fallback": ["good"] if name == "faulty" and fallback_url else [],
                "deployments": [{"provider": name, "model": "scripted-1"}],
            }
            for name in urls
        ],
    }


async def cell(row: Row, serve: Serve, *, has_fallback: bool, is_streaming: bool) -> str:
    """What happens in one cell, in words."""
    seen = asyncio.Event()
    with tempfile.TemporaryDirectory() as folder:
        async with serve(seen) as faulty, upstream(good) as provider:
            fallback_url = f"{provider.base_url}/v1" if has_fallback else None
            document = configuration(Path(folder), faulty, row, fallback_url)
            async with serving(document, ready=faulty.is_there) as server:
                answered = await (_streamed if is_streaming else _executed)(server, row, seen)
                await server.until_idle()
                [budget] = (await server.router.GetStats(rpc.GetStatsRequest())).budgets
            assert answered.cost_usd is None or math.isclose(answered.cost_usd, budget.spent_usd, rel_tol=1e-6)
            return _told(answered, faulty.asked(), budget.spent_usd)


async def _executed(server: RunningServer, row: Row, seen: asyncio.Event) -> Answered:
    request = rpc.ExecuteRequest(**_asking())
    try:
        with _noticed(server, seen):
            reply = await server.router.Execute(request, timeout=row.deadline_s)
    except grpc.aio.AioRpcError as error:
        return Answered("", _status(error))
    return Answered(reply.text, "OK", tuple(reply.attempts), reply.cost_usd)


@contextmanager
def _noticed(server: RunningServer, seen: asyncio.Event) -> Iterator[None]:
    """Set the event when the first token has come from the faulty provider: who asks for a whole answer sees none."""
    backend = server.process.deployments.backend(_FAULTY)
    if backend is None:
        yield  # nothing will come
        return
    generate = backend.generate

    async def noticed(generation: Generation) -> AsyncGenerator[Chunk, None]:
        async with aclosing(generate(generation)) as chunks:
            async for chunk in chunks:
                seen.set()
                yield chunk

    with mock.patch.object(backend, "generate", noticed):
        yield


async def _streamed(server: RunningServer, row: Row, seen: asyncio.Event) -> Answered:
    text, attempts, cost_usd = "", [], 0.0
    try:
        async for event in server.router.Stream(rpc.StreamRequest(**_asking()), timeout=row.deadline_s):
            match event.WhichOneof("event"):
                case "delta":
                    text += event.delta.text
                    seen.set()
                case "finished":
                    attempts, cost_usd = list(event.finished.attempts), event.finished.cost_usd
    except grpc.aio.AioRpcError as error:
        return Answered(text, _status(error))
    return Answered(text, "OK", tuple(attempts), cost_usd)


def _asking() -> dict[str, Any]:
    return {
        "query": types_pb2.Query(prompt="Which town is the capital of France?"),
        "sampling": types_pb2.Sampling(max_tokens=MAX_TOKENS),
    }


def _status(error: grpc.aio.AioRpcError) -> str:
    if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
        return "DEADLINE_EXCEEDED"  # without a reason where the caller's own clock was first
    refusal = refusal_of(error)
    delay = "" if refusal.retry_delay_s is None else f", again after {refusal.retry_delay_s:g} s"
    return f"{refusal.code.name} `{refusal.reason}`{delay}"


def _told(answered: Answered, asked: int, cost_usd: float) -> str:
    parts = [answered.status]
    tries = [
        f"{types_pb2.AttemptOutcome.Name(outcome).removeprefix('ATTEMPT_OUTCOME_')} `{reason}`"
        + _times(len(list(same)))
        for (outcome, reason), same in groupby((each.outcome, each.reason) for each in answered.attempts if each.reason)
    ]
    if tries:
        parts.append(", ".join(tries))
    if answered.status != "OK":
        parts.append("not reached" if not asked else f"asked{_times(asked) or ' once'}")
    if len(answered.text) > _LONG_CHARACTERS:
        parts.append(f'"{answered.text[:8]}...", {len(answered.text):,} characters')
    elif answered.text:
        parts.append(f'"{answered.text}"')
    parts.append(f"${cost_usd:.4f}")
    return "; ".join(parts)


def _times(count: int) -> str:
    return f" {count} times" if count > 1 else ""


async def cells(row: Row) -> dict[str, tuple[str, ...]]:
    """What happens by each wire: alone and with a fallback, asked in both ways."""
    ways = [(has_fallback, is_streaming) for has_fallback in (False, True) for is_streaming in (False, True)]
    told = await asyncio.gather(
        *(
            cell(row, serve, has_fallback=has_fallback, is_streaming=is_streaming)
            for serve in row.wires.values()
            for has_fallback, is_streaming in ways
        )
    )
    return dict(zip(row.wires, zip(*[iter(told)] * len(ways), strict=True), strict=True))


async def lines(row: Row) -> list[str]:
    """The lines of one row: one where all wires agree, else one for those that do."""
    wires_by_cells: dict[tuple[str, ...], list[str]] = {}
    for wire, told in (await cells(row)).items():
        wires_by_cells.setdefault(told, []).append(wire)
    return [_row((row.name, row.when, named(wires), *told)) for told, wires in wires_by_cells.items()]


def named(wires: Collection[str]) -> str:
    """Some of the wires, in few words."""
    if set(wires) == set(WIRES):
        return "all"
    return "HTTP" if set(wires) == {dialect.name for dialect in HTTP} else ", ".join(wires)


def _row(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


def names_by_why() -> dict[str, list[str]]:
    """Why wires differ, and in which rows."""
    names: dict[str, list[str]] = {}
    for row in ROWS:
        if row.why:
            names.setdefault(row.why, []).append(f"{row.name} ({row.when})")
    return names


def page(lines: Iterable[str]) -> str:
    """The document."""
    return "\n".join([_HEAD, _row(COLUMNS), "|---" * len(COLUMNS) + "|", *lines, "", _TAIL])


_HEAD = f"""# Fault matrix: what a caller gets when a provider fails

Written by `python -m tests.faults.matrix`; `tests/faults/test_matrix.py` runs every cell and compares. A whole server asks a provider that
fails in one way, through a fault proxy where bytes are harmed: alone, and with a good provider to fall back on, which answers
"Paris it is.". Retries are as configured by default. "After" means that "Paris" had been sent; the answer may
have {MAX_TOKENS} tokens. A million tokens cost $100 in the prompt and $1,000 in the answer; what a provider does not account for is
estimated, and the cost is what the caller's budget was charged. `Execute` and `Stream` are the unary and the streamed call; a text in a
failed cell is what the caller had been given.

The wires are {", ".join(WIRES[:-1])} (together: HTTP) and {WIRES[-1]}, each with its own words for the fault; all of them do the same
where the table says nothing else. A wire that a row does not name cannot fail like that.
"""

_TAIL = "\n".join(
    [
        "## Where they differ, and why",
        "",
        *(f"- {', '.join(names)}: {why}" for why, names in names_by_why().items()),
        "",
    ]
)


async def write() -> None:
    """Run every cell and write the document."""
    PAGE.write_text(page([line for row in ROWS for line in await lines(row)]))


if __name__ == "__main__":
    asyncio.run(write())
