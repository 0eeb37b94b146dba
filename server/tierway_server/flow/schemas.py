"""Whether an answer that several wrote together fits the caller's JSON Schema: an engine holds to it only what it begins itself.

A schema is the caller's own, and can be made so that to check it takes for ever. So it is checked in a process of its own, which is
bounded (see `schema_check.py`), and only after a takeover. What cannot be checked there does not fit.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from typing import Any

_CHECK = "tierway_server.flow.schema_check"
"""Not imported: what it checks by takes memory, and nobody else needs it."""

_AT_ONCE = 2
"""So many processes check; further answers wait for their turn."""

_MOST_S = 10.0
"""How long a check may take altogether: its processor time has a bound of its own, this one is for a busy machine."""


class Schemas:
    """Checks answers. Lives on the event loop."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def fits(self, text: str, schema: Mapping[str, Any]) -> bool:
        """Whether a text is JSON that satisfies `schema`; an empty one asks for any JSON object."""
        try:
            answer = json.loads(text)
        except (ValueError, RecursionError):
            return False
        if not schema:
            return isinstance(answer, dict)
        asked = json.dumps({"text": text, "schema": schema}).encode()
        async with self._turns:
            return await _checked(asked)


async def _checked(asked: bytes) -> bool:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",
        "-m",
        _CHECK,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(_MOST_S):
            await process.communicate(asked)
    except TimeoutError:
        return False
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode == 0
