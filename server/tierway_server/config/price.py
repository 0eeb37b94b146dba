"""Prices: USD for a million tokens to a person, int64 pico-USD a token inside, exact in between."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator, Field

from tierway_server.config.section import Section

PICOUSD_PER_TOKEN = 1_000_000
"""Pico-USD a token that one USD for a million tokens makes."""


def picousd_per_token(usd_per_million_tokens: float) -> int:
    """Return the same price in pico-USD a token: 0.15 gives 150,000.

    Raises:
        ValueError: when it is finer than one pico-USD a token.
    """
    # repr() of a float is the shortest decimal that reads back the same: what the operator wrote.
    picousd = Decimal(repr(usd_per_million_tokens)) * PICOUSD_PER_TOKEN
    if picousd != picousd.to_integral_value():
        raise ValueError("is finer than 1 pico-USD a token: at most 6 decimal places")
    return int(picousd)


def _check_exact(value: float) -> float:
    picousd_per_token(value)
    return value


_Price = Annotated[float, Field(ge=0, le=1_000_000), AfterValidator(_check_exact)]


class PriceConfig(Section):
    """What tokens of a model cost, in USD for a million, 0 to 1,000,000, at most 6 decimal places."""

    input: _Price
    """USD for a million tokens that the model reads."""

    cached_input: _Price | None = None
    """USD for a million tokens that it reads from a prefix cache. Default: as `input`."""

    output: _Price
    """USD for a million tokens that the model generates."""
