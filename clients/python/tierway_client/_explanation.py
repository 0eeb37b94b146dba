"""A decision laid open: what was read from the query, and what every deployment was worth. Frozen values; USD are floats."""

from collections.abc import Mapping
from dataclasses import dataclass

from tierway_client._enums import FeatureKind, Label
from tierway_client._results import Decision, Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """What the learned classifier reads from a query, whoever is to answer it."""

    difficulty: float
    """How hard it is, on the scale of the models' abilities; mostly -4 to 4."""

    sigma: float
    """The standard deviation of `difficulty`."""

    band_pass: tuple[float, ...]
    """The probability that a model of each band of capability, weakest first, answers well."""

    tier: int
    """The cheapest band that is worth its price, 1 to 5, as a tier."""

    domain: str
    """What it is about, such as `law`."""

    domain_probability: float
    """The probability of `domain`, 0 to 1."""

    label: Label
    """What kind of query it is."""

    label_probabilities: Mapping[Label, float]
    """The probability of each label, 0 to 1."""

    confidence: float
    """How far all of this can be trusted, 0 to 1."""

    familiarity: float
    """The share of its words that the classifier was trained on, 0 to 1."""

    gain: float | None
    """What the strong model of the calibrated pair is expected to gain over the weak one; None without such a pair."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One deployment, as the choice saw it."""

    deployment: str
    """Its name."""

    model: str
    """Its model's name."""

    tier: int
    """Its model's tier, 1 to 5."""

    expected_quality: float | None
    """The probability that its model answers well, 0 to 1; None where the server does not assess."""

    cost_usd: float
    """The estimated cost, in USD."""

    utility: float | None
    """What candidates are ranked by: expected quality less the weighed cost; None where the server does not assess."""

    rank: int
    """Its place in the choice, 1 for the chosen one; 0 when it was left out."""

    left_out: Reason | None
    """Why it was left out; None when it was not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """Something in the query that moved its difficulty."""

    kind: FeatureKind
    """The kind of feature."""

    name: str
    """The feature itself: a counter's name, or text of the query, folded to lower case."""

    weight: float
    """How far it moved the difficulty; above 0 is harder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A decision, laid open."""

    decision: Decision
    """What would be decided now, and why."""

    assessment: Assessment | None
    """What the learned classifier reads from the query; None where the server has none."""

    candidates: tuple[Candidate, ...]
    """Every deployment: those that were left by rank, then those that were left out."""

    features: tuple[Feature, ...]
    """What moved the difficulty most, the heaviest first."""
