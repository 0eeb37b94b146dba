"""What the server prints when it has started: where it listens, which models can answer, and a first call to copy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tierway_core import Table
from tierway_server.backends.base import Availability
from tierway_server.config import Address

_DEFAULT_TARGET = "127.0.0.1:50051"


def text(addresses: Mapping[str, Address], table: Table, availabilities: Sequence[Availability]) -> str:
    """The text to print."""
    lines = ["", "Tierway serves", *(f"  {name:<6} {address}" for name, address in addresses.items()), "", "Models"]
    for deployment, availability in zip(table.deployments, availabilities, strict=True):
        state = "available" if availability.is_available else f"unavailable: {availability.reason}"
        lines.append(f"  tier {deployment.model.tier}  {deployment.model.name:<18} {state}")
    target = str(addresses["grpc"])
    option = "" if target == _DEFAULT_TARGET else f" --target {target}"
    lines += [
        "",
        "Try it in another terminal",
        f'  .venv/bin/tierway ask{option} "What is the capital of France?"',
        "",
        "",
    ]
    return "\n".join(lines)
