"""How well a model is expected to answer, and what that is worth at a price: the specification of the dial.

    expected quality = 1 / (1 + e^-((ability - difficulty) / sqrt(1 + pi/8 * sigma^2)))
    utility = expected quality - rate * cost / dearest,   rate = RATE * (1 - dial) / dial

The ability is the model's own for the domain of the text, else its overall one; a calibration's come before the table's.
Where the calibration knows the gain of a pair and the table has both, the strong one's quality is the weak one's plus
the gain. `dearest` is what the same request would cost on the dearest deployment of the table, struck or not.
"""

from collections.abc import Iterable, Mapping, Sequence
from math import pi, sqrt

from tierway_core.assessment import Assessment, logistic
from tierway_core.calibration import Calibration
from tierway_core.errors import CalibrationError, TableError
from tierway_core.specs import ModelSpec

__all__ = ["RATE", "ability_of", "check_domains", "exchange_rate", "qualities", "utility"]

RATE = 2.0
"""What the dearest answer's whole price is worth in quality with the dial in the middle."""

DIAL_MIN = 1e-9
"""The rate rises no further below this; at 0 itself the price alone counts."""


def ability_of(model: ModelSpec, domain: str, calibration: Calibration | None) -> float:
    """The ability of a model for a domain."""
    if calibration is not None and model.name in calibration.abilities:
        ability = calibration.abilities[model.name]
        return ability.domains.get(domain, ability.overall)
    return model.ability_by_domain.get(domain, model.ability)


def qualities(models: Sequence[ModelSpec], assessment: Assessment, calibration: Calibration | None) -> list[float]:
    """The expected quality of each model's answer, 0 to 1."""
    spread = sqrt(1.0 + pi / 8.0 * assessment.sigma * assessment.sigma)
    expected = [
        logistic((ability_of(model, assessment.domain, calibration) - assessment.difficulty) / spread)
        for model in models
    ]
    if calibration is not None and calibration.pair is not None and assessment.gain is not None:
        names = [model.name for model in models]
        if calibration.pair.strong in names and calibration.pair.weak in names:
            strong = expected[names.index(calibration.pair.weak)] + assessment.gain
            expected[names.index(calibration.pair.strong)] = min(max(strong, 0.0), 1.0)
    return expected


def exchange_rate(cost_quality: float) -> float:
    """What the dearest answer's whole price is worth in quality; `cost_quality` above 0."""
    return RATE * (1.0 - cost_quality) / max(cost_quality, DIAL_MIN)


def utility(quality: float, cost_picousd: int, dearest_picousd: int, cost_quality: float) -> float:
    """What an answer of this quality is worth at this price; the highest is chosen."""
    share = float(cost_picousd) / float(dearest_picousd) if dearest_picousd > 0 else 0.0
    return -share if cost_quality == 0.0 else quality - exchange_rate(cost_quality) * share


def check_domains(models: Iterable[ModelSpec], domains: Sequence[str], calibration: Calibration | None) -> None:
    """Checks that abilities are stated for domains that the weights know.

    Raises:
        TableError: a model's is not.
        CalibrationError: the calibration's is not.
    """
    for index, model in enumerate(models):
        for name in _foreign(model.ability_by_domain, domains):
            raise TableError(f"models[{index}].ability_by_domain.{name}", _no_such(domains))
    for name, ability in calibration.abilities.items() if calibration is not None else ():
        for domain in _foreign(ability.domains, domains):
            raise CalibrationError(f"abilities[{name!r}].domains[{domain!r}]", _no_such(domains))


def _foreign(abilities: Mapping[str, float], domains: Sequence[str]) -> list[str]:
    return [name for name in abilities if name not in domains]


def _no_such(domains: Sequence[str]) -> str:
    return f"the weights know no such domain (known: {', '.join(domains)})"
