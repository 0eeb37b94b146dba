"""Where the chat completions of a deployment are, and what is said to be let in: as the official SDK has it, asked once.

The SDK makes every request anew, and reads every event of a stream into pydantic models: that adds about as much to an answer as all of
Tierway (`make bench ARGS=added_latency` has both). None of that changes between two answers of a deployment. So the SDK makes one
request, which is not sent, and every answer is asked for with that one's address and header fields.
"""

from __future__ import annotations

import httpx2

from tierway_server.backends.endpoint import Endpoint

_UNSENT = "x-stainless-"
"""What the SDK tells OpenAI of itself and this machine is nobody else's affair."""


def chat_completions(
    base_url: str, key: str | None, headers: dict[str, str], *, model: str, api_version: str | None = None
) -> Endpoint:
    """Return the endpoint of one model.

    Args:
        base_url: where the API begins; of Azure, the resource.
        key: lets one in; None where nothing is asked for.
        headers: stated in every request.
        model: what the service calls it; of Azure, the deployment, which is part of the address.
        api_version: of Azure; None for every other service.

    """
    from openai import (  # here: the import takes most of a second, and only remote deployments need it
        AzureOpenAI,
        OpenAI,
    )

    made: list[httpx2.Request] = []

    def keep(request: httpx2.Request) -> httpx2.Response:
        made.append(request)
        return httpx2.Response(200, json={})

    with httpx2.Client(transport=httpx2.MockTransport(keep), trust_env=False) as nowhere:
        client: OpenAI
        if api_version is None:
            client = OpenAI(base_url=base_url, api_key=key or "none", http_client=nowhere, max_retries=0)
        else:
            client = AzureOpenAI(
                azure_endpoint=base_url,
                api_key=key or "none",
                api_version=api_version,
                http_client=nowhere,
                max_retries=0,
            )
        # The SDK takes them from the environment, for whomever it talks to; an operator states them in `headers`.
        client.organization = client.project = None
        client._custom_headers = {}  # noqa: SLF001  # no argument of it stands above the environment
        client.post("/chat/completions", body={"model": model}, cast_to=httpx2.Response)
    request = made[0]
    unsent = {
        "content-length",
        "accept",
        "accept-encoding",
        "connection",
        *(("authorization", "api-key") * (key is None)),
    }
    kept = [
        (name, value)
        for name, value in request.headers.raw
        if (lower := name.decode().lower()) not in unsent and not lower.startswith(_UNSENT)
    ]
    kept += [(b"accept", b"text/event-stream"), (b"accept-encoding", b"identity")]
    kept += [(name.encode(), value.encode()) for name, value in headers.items()]
    return Endpoint(request.url, kept)
