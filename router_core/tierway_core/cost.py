"""What a request would cost: pico-USD in 64 bits, saturating instead of overflowing."""

from tierway_core.specs import INT64_MAX, ModelSpec

__all__ = ["estimate_picousd"]


def estimate_picousd(model: ModelSpec, input_tokens: int, output_tokens: int) -> int:
    """The estimated cost in pico-USD, at most 2^63 - 1. Takes no input for cached."""
    return min(input_tokens * model.input_picousd + output_tokens * model.output_picousd, INT64_MAX)
