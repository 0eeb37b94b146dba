"""What all parts of the configuration have in common: frozen, strict, unknown keys refused, every field described."""

from __future__ import annotations

from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.types import Strict

_Item = TypeVar("_Item")

Items = Annotated[tuple[_Item, ...], Strict(False)]
"""A list; the strict mode of the sections, which takes no text for a number, would take no YAML list for a tuple either."""

Tier = Annotated[int, Field(ge=1, le=5)]
"""1 (nano), 2 (fast), 3 (balanced), 4 (premium) or 5 (expert)."""

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._:/@-]{0,127}$"

Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
"""What people and metrics call a thing: at most 128 characters."""

Score = Annotated[float, Field(ge=0, le=1)]
"""A share of one."""

Seconds = Annotated[float, Field(gt=0, le=86_400)]
"""A duration of at most a day."""


class Section(BaseModel):
    """Base of all sections."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        validate_default=True,  # a stated value may contradict a default one
        hide_input_in_errors=True,  # values may be secrets
        use_attribute_docstrings=True,  # the docstring of a field is its description in the JSON schema
    )
