"""Whether a server is there that asks for no credential: it is asked for its list of models from time to time.

A credential tells "configured" from "not configured"; what stands on this machine or in the cluster has none, and comes and goes. Whether
a server that is there answers well is the circuit breakers' affair.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

import httpx2

from tierway_server.backends.base import Availability

logger = logging.getLogger(__name__)

_ANSWER_S = 5.0
_EVERY_S = 15.0
"""Between two questions to a server that is there."""
_FIRST_AGAIN_S = 0.5
_MOST_AGAIN_S = 15.0
"""Between two questions to one that is not: from the former, doubling, to the latter."""

NOT_ASKED = Availability(False, "no server: not asked yet")


async def watch_server(
    client: httpx2.AsyncClient,
    base_url: str,
    become: Callable[[Availability], Awaitable[None]],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Tell `become` whether the server at `base_url` is there, until cancelled."""
    again_s = _FIRST_AGAIN_S
    while True:
        missing = await _missing(client, base_url)
        await become(Availability(not missing, missing and f"no server: {missing}"))
        if missing:
            await sleep(again_s)
            again_s = min(2 * again_s, _MOST_AGAIN_S)
        else:
            again_s = _FIRST_AGAIN_S
            await sleep(_EVERY_S)


async def _missing(client: httpx2.AsyncClient, base_url: str) -> str:
    """Why the server cannot answer, in our own words; nothing when it does. Any answer will do but that it is not ready."""
    response: httpx2.Response | None = None
    try:
        async with asyncio.timeout(_ANSWER_S):
            request = client.build_request("GET", f"{base_url.rstrip('/')}/models")
            response = await client.send(request, stream=True)
    except (httpx2.TimeoutException, TimeoutError):
        return f"{base_url} does not answer"
    except httpx2.HTTPError:
        return f"nothing answers at {base_url}"
    finally:
        if response is not None:
            with suppress(httpx2.HTTPError):
                await response.aclose()
    return f"{base_url} is not ready ({response.status_code})" if response.status_code >= 500 else ""
