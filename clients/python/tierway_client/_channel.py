"""How this client sets up its channels: service config, keepalive, sizes. The same for grpc and grpc.aio."""

import json
from collections.abc import Sequence

from tierway_client._version import __version__

_SERVICE = "tierway.v1.RouterService"
_REPEATABLE_METHODS = ("Route", "Explain", "RouteBatch", "ListModels", "GetStats")
_GENERATING_METHODS = ("Execute", "Stream")

MESSAGE_BYTES = 16 * 1024 * 1024
"""The largest message sent or received: the server's own receive limit."""

# gRPC raises anything under 10 s to 10 s. A server must allow such pings while nothing else moves (a request that waits in its queue):
# its `grpc.http2.min_ping_interval_without_data_ms` must not exceed this.
_KEEPALIVE_MS = 30_000
_KEEPALIVE_TIMEOUT_MS = 10_000

# gRPC's own bound of `maxAttempts`.
_MAX_RPC_ATTEMPTS = 5


def channel_options(*, max_attempts: int, wait_for_ready: bool) -> Sequence[tuple[str, str | int]]:
    """The options of a channel to a Tierway server.

    Args:
        max_attempts: The most tries of a call that is safe to repeat, the first included.
        wait_for_ready: Whether calls wait for a connection until their deadline, instead of failing when there is none.
    """
    return (
        ("grpc.service_config", service_config(max_attempts=max_attempts, wait_for_ready=wait_for_ready)),
        ("grpc.keepalive_time_ms", _KEEPALIVE_MS),
        ("grpc.keepalive_timeout_ms", _KEEPALIVE_TIMEOUT_MS),
        ("grpc.max_send_message_length", MESSAGE_BYTES),
        ("grpc.max_receive_message_length", MESSAGE_BYTES),
        ("grpc.primary_user_agent", f"tierway-client/{__version__}"),
    )


def service_config(*, max_attempts: int, wait_for_ready: bool) -> str:
    """The gRPC service config, as JSON.

    gRPC repeats only the calls that change nothing, and only on UNAVAILABLE. Execute and Stream cost money: the client repeats those
    itself, and only when the server says that nothing was started (see `_attempts`).
    """
    repeatable: dict[str, object] = {"name": _names(_REPEATABLE_METHODS), "waitForReady": wait_for_ready}
    if max_attempts > 1:
        repeatable["retryPolicy"] = {
            "maxAttempts": min(max_attempts, _MAX_RPC_ATTEMPTS),
            "initialBackoff": "0.1s",
            "maxBackoff": "1s",
            "backoffMultiplier": 2,
            "retryableStatusCodes": ["UNAVAILABLE"],
        }
    return json.dumps(
        {
            "loadBalancingConfig": [{"round_robin": {}}],
            "methodConfig": [repeatable, {"name": _names(_GENERATING_METHODS), "waitForReady": wait_for_ready}],
            # Once a tenth of the calls fail, repeating them would only add to the load.
            "retryThrottling": {"maxTokens": 10, "tokenRatio": 0.1},
        }
    )


def _names(methods: Sequence[str]) -> list[dict[str, str]]:
    return [{"service": _SERVICE, "method": method} for method in methods]


def call_metadata(*, tenant: str, metadata: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """What every call of a client sends along."""
    return (("tierway-tenant", tenant), *metadata) if tenant else tuple(metadata)
