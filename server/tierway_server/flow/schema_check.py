"""A process that checks one text against one JSON Schema: `python -m tierway_server.flow.schema_check`, started by `schemas.py`.

Reads `{"text": ..., "schema": ...}` and ends with 0 where the text is JSON that fits, else with another code. It may take `CPU_S` seconds
of processor time and `MEMORY_BYTES`, then the kernel ends it: schemas are callers' own, and their expressions and references can be made
to take for ever. Nothing is fetched: a reference to another document is an error.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Mapping
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.validators import validator_for
from referencing import Registry

CPU_S = 2
"""Its start takes a tenth of it."""

MEMORY_BYTES = 1 << 30

_MISFIT = 1


def fits(text: str, schema: Mapping[str, Any]) -> bool:
    """Whether a text is JSON that fits a schema, by the draft that the schema names, or else the latest.

    Raises:
        Exception: the text is no JSON, or the schema none, or it refers to another document.

    """
    kind = validator_for(schema, default=Draft202012Validator)
    return bool(kind(schema, registry=Registry()).is_valid(json.loads(text)))


def main() -> int:
    """Check what stands on the standard input. Returns the exit code."""
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    asked = json.load(sys.stdin.buffer)
    return 0 if fits(asked["text"], asked["schema"]) else _MISFIT


if __name__ == "__main__":
    sys.exit(main())
