"""The part of JSON Schema that OpenAI, and whoever does as it does, holds an answer to strictly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

_BEYOND_STRICT = frozenset(
    {"oneOf", "allOf", "not", "if", "then", "else", "dependentRequired", "dependentSchemas", "patternProperties"}
    | {"propertyNames", "minProperties", "maxProperties", "unevaluatedProperties", "unevaluatedItems"}
    | {"contains", "minContains", "maxContains", "uniqueItems", "prefixItems", "default"}
)
"""Keywords that services refuse where they are to be strict."""
_NAMED = frozenset({"properties", "$defs", "definitions"})
_NO_SCHEMAS = frozenset({"enum", "const", "examples", "required"})


def keeps_strict_rules(schema: object) -> bool:
    """Whether services that can be strict take `schema` so: its objects are closed, and require all of their properties."""
    if isinstance(schema, Mapping):
        if not _BEYOND_STRICT.isdisjoint(schema):
            return False
        properties = schema.get("properties")
        if isinstance(properties, Mapping) or schema.get("type") == "object":
            required = schema.get("required", ())
            is_listed = isinstance(required, Sequence) and sorted(properties or ()) == sorted(map(str, required))
            if schema.get("additionalProperties") is not False or not is_listed:
                return False
        # A property, or a definition, may have any name: only what is below it is a schema.
        return all(
            all(map(keeps_strict_rules, value.values()))
            if name in _NAMED and isinstance(value, Mapping)
            else keeps_strict_rules(value)
            for name, value in schema.items()
            if name not in _NO_SCHEMAS
        )
    return all(map(keeps_strict_rules, schema)) if isinstance(schema, list | tuple) else True
