"""Ways to choose among what is left, one small module each, found by its name: adding one touches nothing else."""

from pkgutil import iter_modules

__all__ = ["STRATEGIES"]

STRATEGIES = tuple(sorted(module.name for module in iter_modules(__path__) if not module.name.startswith("_")))
"""The names of all strategies."""
