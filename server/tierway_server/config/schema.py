"""The JSON schema of a configuration file, for editors and for checks outside Tierway."""

from __future__ import annotations

from typing import Any

from tierway_server.config.model import Config

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_REQUIRED = {"ModelConfig": ["name"]}


def json_schema() -> dict[str, Any]:
    """Return the schema of one file.

    Little is required in it: what a file leaves out, a file that it includes may state. `load` judges the whole.
    """
    schema = Config.model_json_schema()
    for name, definition in schema["$defs"].items():
        definition.pop("required", None)
        if name in _REQUIRED:
            definition["required"] = _REQUIRED[name]
    return {"$schema": _DIALECT, **schema, "title": "Tierway configuration"}
