"""`google.protobuf.Struct` as plain values."""

from __future__ import annotations

from math import isfinite
from typing import Any

from google.protobuf.struct_pb2 import Struct, Value

from tierway_server.errors import InvalidRequestError


def plain(struct: Struct, field: str) -> dict[str, Any]:
    """The same as `json.loads` would give it, whole numbers as `int`.

    Raises:
        InvalidRequestError: a number in `field` is none of JSON's.

    """
    return {key: _plain_value(value, field) for key, value in struct.fields.items()}


def _plain_value(value: Value, field: str) -> Any:
    match value.WhichOneof("kind"):
        case "number_value":
            number = value.number_value
            if not isfinite(number):
                raise InvalidRequestError("numbers must be finite", field=field)
            # Struct knows doubles only; `minLength: 3.0` would be no valid schema.
            return int(number) if number.is_integer() else number
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
        case "struct_value":
            return plain(value.struct_value, field)
        case "list_value":
            return [_plain_value(item, field) for item in value.list_value.values]
        case _:
            return None
