"""Answers that several wrote are held to the caller's schema: in bounded time and memory, and without asking anybody."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import psutil
import pytest

from tests.faults.upstream import document, upstream
from tests.server.running import until
from tierway_server.flow import schemas
from tierway_server.flow.schemas import Schemas

CITY = {
    "type": "object",
    "properties": {"city": {"type": "string", "minLength": 2.0}, "days": {"$ref": "#/$defs/days"}},
    "required": ["city"],
    "additionalProperties": False,
    "$defs": {"days": {"type": "array", "items": {"type": "integer"}, "maxItems": 2.0}},
}
DRAFT_4 = {"$schema": "http://json-schema.org/draft-04/schema#", "maximum": 3, "exclusiveMaximum": True}
BACKTRACKING = {"type": "string", "pattern": "^(a+)+$"}
DOUBLING: dict[str, Any] = {
    "$ref": "#/$defs/0",
    "$defs": {
        **{str(level): {"allOf": [{"$ref": f"#/$defs/{level + 1}"}] * 2} for level in range(40)},
        "40": {"type": "string"},
    },
}
ENDLESS = {"$ref": "#"}


@pytest.mark.parametrize(
    ("text", "schema"),
    [
        ('{"city": "São Paulo 🌧", "days": [1, 2]}', CITY),
        ("2", DRAFT_4),
        ("{}", {}),
        ("[1]", {"type": "array"}),
    ],
)
async def test_what_fits(text: str, schema: dict[str, Any]) -> None:
    assert await Schemas().fits(text, schema)


@pytest.mark.parametrize(
    ("text", "schema"),
    [
        ('{"city": "S"}', CITY),
        ('{"days": [1]}', CITY),
        ('{"city": "Paris", "days": [1.5]}', CITY),
        ('{"city": "Paris", "days": [1, 2, 3]}', CITY),
        ('{"city": "Paris", "country": "France"}', CITY),
        ('{"city": "Paris"} That is it.', CITY),
        ('{"city": "Par', CITY),
        ("3", DRAFT_4),
        ("[1]", {}),
        ("[" * 100_000, {}),
    ],
)
async def test_what_does_not(text: str, schema: dict[str, Any]) -> None:
    assert not await Schemas().fits(text, schema)


@pytest.mark.parametrize(
    "schema",
    [{"type": "nothing"}, {"pattern": "("}, {"minimum": "much"}, ENDLESS],
    ids=["type", "pattern", "number", "loop"],
)
async def test_a_schema_that_cannot_be_checked_is_not_satisfied(schema: dict[str, Any]) -> None:
    assert not await Schemas().fits('"1"' if "pattern" in schema else "1", schema)


@pytest.mark.parametrize(
    ("text", "schema"),
    [("a" * 64 + "!", BACKTRACKING), ("text", DOUBLING)],
    ids=["an expression", "references"],
)
async def test_a_schema_that_takes_for_ever_holds_nobody_up_and_is_ended(
    text: str, schema: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schemas, "_MOST_S", 3_600.0)  # the kernel's bound is enough
    check = asyncio.create_task(Schemas().fits(json.dumps(text), schema))
    for _ in range(100):
        await asyncio.sleep(0)
    assert not check.done()
    assert not await check


async def test_a_reference_to_elsewhere_is_not_followed() -> None:
    async with upstream(lambda _: document({})) as provider:
        assert not await Schemas().fits("1", {"$ref": f"{provider.base_url}/schema.json"})
        assert provider.count == 0


async def test_who_leaves_leaves_no_process() -> None:
    before = set(psutil.Process().children())
    check = asyncio.create_task(Schemas().fits(json.dumps("a" * 64 + "!"), BACKTRACKING))
    await until(lambda: bool(set(psutil.Process().children()) - before))
    check.cancel()
    await asyncio.wait((check,))
    assert check.cancelled()
    assert set(psutil.Process().children()) <= before


async def test_only_a_few_are_checked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    gate, running = asyncio.Event(), 0

    async def checked(_: bytes) -> bool:
        nonlocal running
        running += 1
        await gate.wait()
        running -= 1
        return True

    monkeypatch.setattr(schemas, "_checked", checked)
    one = Schemas()
    checks = [asyncio.create_task(one.fits("1", {"type": "integer"})) for _ in range(5)]
    for _ in range(20):
        await asyncio.sleep(0)
    assert running == 2
    gate.set()
    assert await asyncio.gather(*checks) == [True] * 5
