"""What a run comes to: cost, quality, latency, fallbacks, refusals, and who answered."""

from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from tierway_core import ModelSpec
from tierway_core.quality import qualities
from tierway_sim.faults import Fault
from tierway_sim.fleet import Fleet
from tierway_sim.run import Run
from tierway_sim.shifts import Shift, shifts

__all__ = ["Part", "Percentiles", "Strong", "Summary", "dearest_model", "summarise"]

_PICO = 1e-12

_Answers = Mapping[tuple[int, int, int], int]
"""How often: which query, who answered it, whether from a warm cache."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Percentiles:
    """Times that 50, 95 and 99 % of the answers did not exceed, in seconds; 0 without an answer."""

    p50_s: float
    p95_s: float
    p99_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one model, tier or provider had of the traffic."""

    name: str
    requests: int
    """Requests that it answered."""
    share: float
    """Of all that were answered, 0 to 1."""
    cost_usd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Strong:
    """The same answers by one model: what everything would have cost, and been worth, without routing."""

    model: str
    cost_usd: float
    expected_quality: float | None
    quality: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a run comes to."""

    name: str
    """Of the configuration."""
    dial: float | None
    """The dial of every request; None: the table's."""
    requests: int
    answered: int
    failed: int
    """Requests that were decided, and that nothing of the chain answered."""
    refused: Mapping[str, int]
    """Requests that were not decided, by `UnroutableKind`."""
    fell_back: int
    """Answers that another deployment gave than the chosen one."""
    cost_usd: float
    expected_quality: float | None
    """Mean over the answers of the probability that they are right, as the classifier has it; None without one."""
    quality: float | None
    """Mean over the answers whose outcome is known, and that of the strong model too; None without any."""
    known_outcomes: int
    """How many those are."""
    strong: Strong
    """What one model for everything would come to, its cache as warm as that of who answered."""
    saving: float
    """1 - cost / the strong model's."""
    requests_per_usd: float
    """Answers for a dollar; 0 if they cost nothing."""
    throughput_per_usd_ratio: float
    """Answers for a dollar, over those of the strong model; 0 if they cost nothing."""
    first_token: Percentiles
    latency: Percentiles
    by_model: Sequence[Part]
    by_tier: Sequence[Part]
    by_provider: Sequence[Part]
    shifts: Sequence[Shift]


def summarise(run: Run, faults: Sequence[Fault] = (), *, strong: str | None = None) -> Summary:
    """Sums a run up.

    Args:
        run: the run.
        faults: what went wrong in it.
        strong: the model that everything is compared with. Default: the dearest.

    Raises:
        UnknownModelError: the table has no model of the name `strong`.
    """
    table = run.fleet.table
    strong_model = table.models[table.model_index(strong or dearest_model(run.fleet))]
    asked = Counter(zip(run.traffic.order, run.answered, run.is_warm, strict=True))
    answers = {key: times for key, times in asked.items() if key[1] >= 0}
    counts: Counter[int] = Counter()
    costs: Counter[int] = Counter()  # pico-USD
    strong_picousd = 0
    for (query, index, is_warm), times in answers.items():
        counts[index] += times
        costs[index] += times * run.picousd(query, table.deployments[index].model, is_warm=is_warm != 0)
        strong_picousd += times * run.picousd(query, strong_model, is_warm=is_warm != 0)
    answered, picousd, refused = counts.total(), costs.total(), run.refusals.total()
    quality, strong_quality = _quality(run, answers, strong_model)
    expected, strong_expected = _expected(run, answers, table.model_index(strong_model.name))
    return Summary(
        name=run.fleet.name,
        dial=run.wishes.dial,
        requests=len(run.traffic),
        answered=answered,
        failed=len(run.traffic) - answered - refused,
        refused=dict(run.refusals),
        fell_back=sum(first != last >= 0 for first, last in zip(run.chosen, run.answered, strict=True)),
        cost_usd=picousd * _PICO,
        expected_quality=expected.value,
        quality=quality.value,
        known_outcomes=quality.count,
        strong=Strong(
            model=strong_model.name,
            cost_usd=strong_picousd * _PICO,
            expected_quality=strong_expected.value,
            quality=strong_quality.value,
        ),
        saving=1 - picousd / strong_picousd if strong_picousd else 0.0,
        requests_per_usd=answered / (picousd * _PICO) if picousd else 0.0,
        throughput_per_usd_ratio=strong_picousd / picousd if picousd else 0.0,
        first_token=_percentiles(run.first_token_s, run.answered),
        latency=_percentiles(run.latency_s, run.answered),
        by_model=_parts([each.model.name for each in table.deployments], counts, costs),
        by_tier=_parts([str(each.model.tier) for each in table.deployments], counts, costs),
        by_provider=_parts([each.spec.provider for each in table.deployments], counts, costs),
        shifts=shifts(run, faults),
    )


def dearest_model(fleet: Fleet) -> str:
    """Name of the model whose tokens cost most."""
    return max(fleet.table.models, key=lambda model: model.input_picousd + model.output_picousd).name


class _Mean:
    """A mean of what is known."""

    def __init__(self) -> None:
        self.count = 0
        self._total = 0.0

    def add(self, value: float, times: int) -> None:
        self.count += times
        self._total += times * value

    @property
    def value(self) -> float | None:
        return self._total / self.count if self.count else None


def _quality(run: Run, answers: _Answers, strong: ModelSpec) -> tuple[_Mean, _Mean]:
    """Means of the outcomes: of who answered, and of the strong model."""
    mean, strong_mean = _Mean(), _Mean()
    for (query, index, _), times in answers.items():
        outcomes = run.traffic.pool[query].outcomes
        own, others = outcomes.get(run.fleet.table.deployments[index].model.name), outcomes.get(strong.name)
        if own is not None and others is not None:  # both or none: they are to be compared
            mean.add(own, times)
            strong_mean.add(others, times)
    return mean, strong_mean


def _expected(run: Run, answers: _Answers, strong: int) -> tuple[_Mean, _Mean]:
    """Means of the expected quality: of who answered, and of the strong model."""
    table, classifier = run.fleet.table, run.fleet.classifier
    mean, strong_mean = _Mean(), _Mean()
    if classifier is None:
        return mean, strong_mean
    by_query: dict[int, list[float]] = {}
    for (query, index, _), times in answers.items():
        if query not in by_query:
            assessment = classifier.assess(run.traffic.pool[query].prompt)
            by_query[query] = qualities(table.models, assessment, classifier.calibration)
        mean.add(by_query[query][table.model_index(table.deployments[index].model.name)], times)
        strong_mean.add(by_query[query][strong], times)
    return mean, strong_mean


def _percentiles(times_s: "array[float]", answered: "array[int]") -> Percentiles:
    ordered = sorted(time_s for time_s, index in zip(times_s, answered, strict=True) if index >= 0)
    p50_s, p95_s, p99_s = (ordered[ceil(len(ordered) * share) - 1] if ordered else 0.0 for share in (0.5, 0.95, 0.99))
    return Percentiles(p50_s=p50_s, p95_s=p95_s, p99_s=p99_s)


def _parts(names: Sequence[str], counts: Counter[int], costs: Counter[int]) -> tuple[Part, ...]:
    """What deployments of one name had, in the order of the table; those that had nothing too."""
    total = counts.total()

    def parts() -> Iterator[Part]:
        for name in dict.fromkeys(names):
            indices = [index for index, other in enumerate(names) if other == name]
            requests = sum(counts[index] for index in indices)
            yield Part(
                name=name,
                requests=requests,
                share=requests / total if total else 0.0,
                cost_usd=sum(costs[index] for index in indices) * _PICO,
            )

    return tuple(parts())
