"""Made-up traffic: prompts of five kinds, as many of each as the mission's load mix has by tier."""

import random
from itertools import product

from tierway_sim.traffic import Query

__all__ = ["MIX", "synthetic"]

MIX = (40, 30, 15, 10, 5)
"""Per cent of the prompts of each kind: trivial, simple, demanding, expert work, governance."""

_SQL = "\n```sql\nCREATE TABLE orders (id BIGINT PRIMARY KEY, state TEXT);\n```"
_PYTHON = "\n```python\ndef solve(items):\n    ...\n```"
_KINDS: tuple[dict[str, tuple[str, ...]], ...] = (
    {
        "What is the capital of {}?": ("France", "Peru", "Kenya", "Japan", "Norway", "Chile"),
        "Translate {} into Spanish.": ("good morning", "the red door", "thank you", "a cup of tea"),
        "How many {} are in a week?": ("days", "hours", "minutes", "nights"),
    },
    {
        "Summarise in three sentences why {} matters to a small company that sells tea online.": (
            ("cash flow", "search ranking", "packaging", "customer trust", "stock keeping")
        ),
        "Explain to a new colleague how {} works, and name one common mistake that beginners make with it.": (
            ("version control", "a load balancer", "double-entry bookkeeping", "a database index", "a heat pump")
        ),
    },
    {
        "A train leaves at {} and travels 210 km at 84 km/h; a second one leaves 25 minutes later at 105 km/h on the same way. "
        "When and where does it catch up? Show each step of the calculation.": ("8:10", "9:05", "11:40", "14:20"),
        "Write a Python function that {} and explain its complexity." + _PYTHON: (
            ("merges overlapping intervals", "finds the longest common prefix", "counts inversions")
        ),
    },
    {
        "Prove that {}, state every theorem that you use, and say where the argument would fail for an infinite set.": (
            "every finite integral domain is a field",
            "a finite group of prime order is cyclic",
            "a continuous function on a compact set is uniformly continuous",
        ),
        "Design, step by step, the migration of {} to an event-driven architecture: write the plan with milestones, then the code of "
        "the outbox in SQL and Python, then the tests." + _SQL: (
            "an order service",
            "a billing system",
            "a booking platform",
        ),
    },
    {
        "Does {} comply with our constitution and its governance rules? Argue both sides and decide.": (
            ("this hiring policy", "the new retention period", "an automatic loan refusal", "this content filter")
        ),
    },
)
_ASKED = ("", "Please answer briefly. ", "For a report: ", "I need this today. ", "Thank you in advance. ")


def synthetic(count: int = 1000, *, seed: int = 0) -> list[Query]:
    """A pool of `count` queries, in which each kind has its part of `MIX`; many prompts come more than once."""
    chance = random.Random(seed)
    variants = [
        [asked + form.format(thing) for form, things in kind.items() for asked, thing in product(_ASKED, things)]
        for kind in _KINDS
    ]
    return [Query(prompt=chance.choice(variants[kind])) for kind in chance.choices(range(len(MIX)), MIX, k=count)]
