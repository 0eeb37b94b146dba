"""A request with what a deployment states for itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def with_own(body: Mapping[str, Any], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the request with the deployment's own parameters, which stand above what the caller asked for.

    What both state as an object has the parts of both; what a deployment states as null is left out.
    """
    both = {
        name: {**asked, **own}
        for name, own in parameters.items()
        if isinstance(own, Mapping) and isinstance(asked := body.get(name), Mapping)
    }
    left_out = {name for name, own in parameters.items() if own is None}
    return {name: value for name, value in {**body, **parameters, **both}.items() if name not in left_out}
