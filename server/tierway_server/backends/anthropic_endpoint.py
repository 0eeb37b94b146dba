"""Where Anthropic's Messages API is, and what is said to be let in: as the official SDK has it, asked once (see `openai_endpoint.py`)."""

from __future__ import annotations

import httpx2

from tierway_server.backends.endpoint import Endpoint

OLDER_VERSION = "2023-06-01"
"""The last version of the API that lets a request say how tokens are sampled."""

_KEPT = frozenset({"content-type", "user-agent", "authorization", "x-api-key", "anthropic-version"})
"""What the SDK sends for the service's sake. The rest tells of itself and this machine."""
_PATH = "/v1/messages"


def messages(base_url: str, key: str | None, headers: dict[str, str], version: str | None = None) -> Endpoint:
    """Return the endpoint of all models at an address.

    Args:
        base_url: where the API begins, with or without its `/v1`.
        key: lets one in; None where nothing is asked for.
        headers: stated in every request.
        version: of the API; None for the SDK's own.

    """
    from anthropic import Anthropic  # here: the import takes most of a second, and only remote deployments need it

    made: list[httpx2.Request] = []

    def keep(request: httpx2.Request) -> httpx2.Response:
        made.append(request)
        return httpx2.Response(200, json={})

    with httpx2.Client(transport=httpx2.MockTransport(keep), trust_env=False) as nowhere:
        client = Anthropic(
            base_url=base_url.rstrip("/").removesuffix("/v1"), api_key=key or "none", http_client=nowhere, max_retries=0
        )
        # The SDK takes more from the environment, for whomever it talks to; an operator states it in `headers`.
        client._custom_headers = {}  # noqa: SLF001  # no argument of it stands above the environment
        client.post(_PATH, body={}, cast_to=httpx2.Response)
    request = made[0]
    if version is not None:
        request.headers["anthropic-version"] = version
    left_out = {"authorization", "x-api-key"} if key is None else set()
    kept = [(name, value) for name, value in request.headers.raw if name.decode("latin-1").lower() in _KEPT - left_out]
    if key is not None and not any(name.lower() == b"x-api-key" for name, _ in kept):
        # The SDK's bearer token is new: what else speaks the API knows the older field, and Anthropic takes either.
        kept.append((b"x-api-key", key.encode()))
    kept += [(b"accept", b"text/event-stream"), (b"accept-encoding", b"identity")]
    kept += [(name.encode(), value.encode()) for name, value in headers.items()]
    return Endpoint(request.url, kept)
