"""Who keeps sentences by their keys may: equal keys mean equal sentences."""

import random

import pytest

from tests.core.fleets import five_tiers, make_deployment, make_model, make_state, make_table
from tests.core.networks import make_classifier
from tierway_core import Feature, Request, Router
from tierway_core.explain import closing, closing_key, opening, opening_key, struck, struck_key

WORDS = ["plan", "a", "python", "program", "what", "is", "the", "constitution", "image", "proof", "字", "7"]


@pytest.mark.parametrize("learned", [True, False], ids=["learned", "by class"])
def test_equal_keys_mean_equal_sentences(learned):
    limited = make_model(
        "limited", 1, 900, deployments=(make_deployment("limited@x", lacks=Feature.TOOLS | Feature.SEED),)
    )
    table = make_table(limited, *five_tiers(), classifier=learned, min_confidence=0.55)
    router = Router(table, make_state(table, unavailable=[2]), make_classifier())
    chance = random.Random(3)
    kept: dict[object, object] = {}
    for _ in range(3000):
        dial = chance.choice([None, 0.0, 0.5, 1.0]) if learned else None
        request = Request(
            " ".join(chance.choices(WORDS, k=chance.randint(1, 4))),
            max_tokens=chance.choice([0, 5]),
            has_image=chance.random() < 0.2,
            force_model=chance.choice(["", "", "t5"]),
            cost_quality=dial,
            needs=chance.choice([0, 0, Feature.TOOLS, Feature.SEED]),
        )
        decision = router.decide(request)
        for part, key_of in ((opening, opening_key), (struck, struck_key), (closing, closing_key)):
            key = key_of(decision)
            if key is not None:
                sentences = tuple(part(decision))
                assert kept.setdefault((part.__name__, key), sentences) == sentences
    assert len(kept) > 50
