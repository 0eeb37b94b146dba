from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tests.core.fleets import five_tiers, make_state, make_table
from tierway_core import Classifier, Decision, Features, Lexicon, Request, Router, Table, UnroutableError, text
from tierway_core.reference import ReferenceRouter
from tierway_core.terms import build_terms


@pytest.fixture(params=["compiled", "reference"])
def implementation(request: pytest.FixtureRequest) -> str:
    """Every test that asks for behaviour runs on the compiled core and on its twin."""
    return str(request.param)


@pytest.fixture
def extract(implementation: str) -> Callable[..., Features]:
    """extract(text, governance_terms=())"""

    def extract(content: str, governance_terms: Sequence[str] = ()) -> Features:
        terms = build_terms(governance_terms)
        return Lexicon(terms).extract(content) if implementation == "compiled" else text.extract(content, terms)

    return extract


@pytest.fixture
def decide(implementation: str) -> Callable[..., Decision]:
    """decide(text, table=five tiers, classifier=None, unavailable=(), in_flight={}, **request)"""
    router_type: Any = Router if implementation == "compiled" else ReferenceRouter

    def decide(
        content: str,
        table: Table | None = None,
        *,
        classifier: Classifier | None = None,
        unavailable: Any = (),
        in_flight: Any = None,
        **request: Any,
    ) -> Decision:
        if table is None:
            table = make_table(*five_tiers())
        state = make_state(table, unavailable=unavailable, in_flight=in_flight)
        decision: Decision = router_type(table, state, classifier).decide(Request(content, **request))
        return decision

    return decide


@pytest.fixture
def refuse(decide: Callable[..., Decision]) -> Callable[..., UnroutableError]:
    """As decide, for what must end in UnroutableError."""

    def refuse(*args: Any, **kwargs: Any) -> UnroutableError:
        with pytest.raises(UnroutableError) as caught:
            decide(*args, **kwargs)
        return caught.value

    return refuse
