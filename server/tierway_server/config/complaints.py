"""Says what pydantic found in our own words: one line for each, never with the value, which may be a secret."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from tierway_server.config.problems import Location
from tierway_server.config.section import NAME_PATTERN
from tierway_server.config.suggest import did_you_mean

_MESSAGES = {
    "missing": "is required",
    "int_type": "must be an integer, not {kind}",
    "int_from_float": "must be an integer, not {kind}",
    "float_type": "must be a number, not {kind}",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false, not {kind}",
    "string_unicode": "must be text, without half a surrogate pair",
    "string_type": "must be text, not {kind}",
    "string_too_short": "must not be empty",
    "string_too_long": "must have at most {max_length} characters",
    "tuple_type": "must be a list, not {kind}",
    "dict_type": "must be a mapping, not {kind}",
    "mapping_type": "must be a mapping, not {kind}",
    "model_type": "must be a mapping, not {kind}",
    "greater_than": "must be above {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be below {lt}",
    "less_than_equal": "must be at most {le}",
    "too_short": "must have at least {min_length} item",
    "value_error": "{error}",
}
_KINDS = {
    bool: "true or false",
    int: "an integer",
    float: "a number",
    str: "text",
    list: "a list",
    dict: "a mapping",
    type(None): "empty",
}


def complaints(error: ValidationError, root: type[BaseModel]) -> Iterator[tuple[Location, str]]:
    """Yield where and what for each finding of `error`, which came of validating a `root`."""
    for found in error.errors(include_url=False):
        location = found["loc"]
        if location and location[-1] == "[key]":
            location = location[:-1]
        yield location, _message(found, location, root)


def _message(found: ErrorDetails, location: Location, root: type[BaseModel]) -> str:
    kind, context = found["type"], found.get("ctx", {})
    if kind == "extra_forbidden":
        return f"unknown key{did_you_mean(str(location[-1]), _known_keys(root, location[:-1]))}"
    if kind == "literal_error":
        choices = str(context["expected"]).replace("'", '"')
        return f"must be {choices}" if " or " not in choices else f"must be one of {choices}"
    if kind == "string_pattern_mismatch" and context["pattern"] == NAME_PATTERN:
        return "must be a name: letters, digits and . _ : / @ -, at most 128, beginning with a letter or digit"
    if kind in _MESSAGES:
        value = found["input"]
        facts = {name: _trimmed(fact) for name, fact in context.items()}
        message = _MESSAGES[kind].format(kind=_KINDS.get(type(value), "something else"), **facts)
        # An unquoted text of digits is a number to YAML, such as a hash that happens to have no letter.
        return message + "; put it in quotes" if kind == "string_type" and isinstance(value, int | float) else message
    return found["msg"]  # pydantic's own, which tells no value either


def _trimmed(fact: object) -> object:
    """Return 1 for 1.0: a bound reads as it would be written."""
    return int(fact) if isinstance(fact, float) and fact.is_integer() else fact


def _known_keys(root: type[BaseModel], location: Location) -> Mapping[str, object]:
    """Return the fields of the section at `location`."""
    annotation: Any = root
    for part in location:
        # Either a field of a section, or the index of a list or the key of a mapping that holds sections.
        annotation = annotation.model_fields[part].annotation if _is_section(annotation) else _held_section(annotation)
    return dict(annotation.model_fields)


def _is_section(annotation: Any) -> bool:
    return get_origin(annotation) is None and isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _held_section(annotation: Any) -> Any:
    """Return ModelConfig for ``tuple[ModelConfig, ...]``."""
    return next(each for each in get_args(annotation) if _is_section(each))
