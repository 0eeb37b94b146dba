from dataclasses import dataclass

import numpy as np
import pytest

from tierway_learn.abilities import FEWEST_OUTCOMES, expected_quality, fit_abilities


@dataclass(frozen=True)
class Assessed:
    """The part of an assessment that abilities need."""

    difficulty: float
    sigma: float
    domain: str


def simulate(abilities: dict[str, dict[str, float]], count: int):
    """Prompts of two domains, and what models of these abilities (by domain) make of them."""
    random = np.random.default_rng(0)
    prompts = [Assessed(random.normal(0.0, 1.5), 0.5, random.choice(["code", "law"])) for _ in range(count)]
    outcomes = []
    for prompt in prompts:
        right = {name: expected_quality(by_domain[prompt.domain], [prompt])[0] for name, by_domain in abilities.items()}
        outcomes.append({name: float(random.random() < chance) for name, chance in right.items()})
    return prompts, outcomes


def test_known_abilities_are_found() -> None:
    known = {"nano": -1.5, "fast": 0.0, "expert": 2.0}
    prompts, outcomes = simulate({name: {"code": value, "law": value} for name, value in known.items()}, 4000)
    found = fit_abilities(prompts, outcomes)
    assert {name: ability.overall for name, ability in found.items()} == pytest.approx(known, abs=0.12)


def test_domain_is_known_where_it_has_outcomes_and_drawn_to_the_whole_where_they_are_few() -> None:
    prompts, outcomes = simulate({"coder": {"code": 1.5, "law": -0.5}}, 4000)
    ability = fit_abilities(prompts, outcomes)["coder"]
    assert ability.domains == pytest.approx({"code": 1.5, "law": -0.5}, abs=0.15)
    few = fit_abilities(prompts[:60], outcomes[:60])["coder"]
    assert abs(few.domains["code"] - few.overall) < abs(ability.domains["code"] - ability.overall)


def test_model_of_few_outcomes_gets_no_ability() -> None:
    prompts, outcomes = simulate({"often": {"code": 0.0, "law": 0.0}}, 100)
    outcomes = [row | ({"seldom": 1.0} if index < FEWEST_OUTCOMES - 1 else {}) for index, row in enumerate(outcomes)]
    assert set(fit_abilities(prompts, outcomes)) == {"often"}


@pytest.mark.parametrize("outcome", [0.0, 1.0])
def test_model_that_is_always_right_or_wrong_has_a_finite_ability(outcome) -> None:
    prompts, _ = simulate({}, 300)
    ability = fit_abilities(prompts, [{"one": outcome}] * 300)["one"].overall
    assert 2.0 < abs(ability) < 10.0
    assert (ability > 0) == (outcome == 1.0)


def test_quality_is_half_where_ability_meets_difficulty_and_less_sure_with_sigma() -> None:
    sharp, vague = Assessed(1.0, 0.0, "law"), Assessed(1.0, 3.0, "law")
    assert expected_quality(1.0, [sharp, vague]) == pytest.approx([0.5, 0.5])
    easy, easy_vague = expected_quality(3.0, [sharp, vague])
    assert easy > easy_vague > 0.5
