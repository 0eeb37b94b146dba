"""Chance that can be repeated: everything random follows from 64 bits that the caller draws. `_chance.pxd` is the fast twin."""

from enum import IntEnum

__all__ = ["Purpose", "below", "derive", "key_of", "mix", "unit"]

_MASK = 2**64 - 1


class Purpose(IntEnum):
    """What a number is drawn for; each purpose gets its own from one draw."""

    FIRST = 1
    """The first of two to compare."""
    SECOND = 2
    """The second."""
    EXPLORE = 3
    """Whether the comparison is left out."""
    WEIGHT = 4
    """A place among weights."""
    ARM = 5
    """An arm of an experiment."""


def mix(value: int) -> int:
    """Scatters 64 bits: the step of splitmix64. One to one, so that distinct values stay distinct."""
    value = (value + 0x9E3779B97F4A7C15) & _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)


def derive(draw: int, purpose: Purpose) -> int:
    """64 bits for a purpose."""
    return mix((mix(draw) + purpose) & _MASK)


def unit(bits: int) -> float:
    """A number from 0 to below 1, of the upper 53 bits."""
    return (bits >> 11) * 2.0**-53


def below(bits: int, bound: int) -> int:
    """A whole number from 0 to below `bound`."""
    return (bits * bound) >> 64


def key_of(name: str) -> int:
    """64 bits that stand for a text, the same in every process: FNV-1a of its UTF-8."""
    key = 0xCBF29CE484222325
    for byte in name.encode():
        key = ((key ^ byte) * 0x100000001B3) & _MASK
    return key
