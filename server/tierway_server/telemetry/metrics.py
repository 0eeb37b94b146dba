"""The one owner of every number: counters and histograms in a registry of their own, for `/metrics` and for `GetStats` alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from tierway_core import Decision
from tierway_server.telemetry import semconv
from tierway_server.telemetry.tally import Spread, Spreads, Tallies, Tally

_PICO = 1e-12
# 1 us to 5 ms: a decision costs microseconds, and one that costs milliseconds must be seen.
_DECISION_BUCKETS_S = (1e-6, 2e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 5e-3)
_RPC_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 30, 60)
# The GenAI convention's buckets for the time to first token and the time per output token.
_TTFT_BUCKETS_S = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
_CONFIDENCE_BUCKETS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
_QUEUE_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_TPOT_BUCKETS_S = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5)


class Metrics:
    """What the service counts. Lives on the event loop, which also serves the scrape."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        """Ours alone; the engines' own registries are exported beside it."""
        self.decisions = Tallies(semconv.DECISIONS, "Decisions taken.", ("tier", "model", "complexity"), self.registry)
        self.errors = self._counter(semconv.ERRORS, "Requests that ended in an error.", "reason")
        self.answers = self._counter(semconv.ANSWERS, "Answers that were completed.", "model")
        self.tokens = self._counter(semconv.TOKENS, "Tokens read and generated.", "model", "direction")
        self.cost = self._counter(semconv.COST_USD, "Cost of tries in USD, by the configured prices.", "model")
        self.failures = self._counter(semconv.FAILURES, "Tries at an answer that failed.", "model", "reason")
        self._fallbacks = self._counter(
            semconv.FALLBACKS, "Tries that failed, after which another was made.", "model", "reason"
        )
        self._retries = self._counter(
            semconv.RETRIES, "Deployments that were asked again after a failure.", "deployment", "reason"
        )
        self._retry_refusals = self._counter(
            semconv.RETRY_REFUSALS, "Retries that were not made because there were too many.", "deployment"
        )
        self._takeovers = self._counter(
            semconv.TAKEOVERS,
            "Answers that broke off after their first token, and that another went on with.",
            "model",
            "reason",
        )
        self._hedges = self._counter(
            semconv.HEDGES, "Deployments that were asked because another was slow to begin.", "deployment", "outcome"
        )
        self._escalations = self._counter(
            semconv.ESCALATIONS, "Weak answers that were asked again one tier up.", "tier", "sign"
        )
        self._escalations_forgone = self._counter(
            semconv.ESCALATIONS_FORGONE, "Weak answers that were shown all the same.", "tier", "reason"
        )
        self._judged = self._counter(semconv.JUDGED, "Answers judged, where a higher tier might do.", "tier", "verdict")
        self._weak_alarm = Gauge(
            semconv.WEAK_ALARM,
            "1 while more of the latest judged answers are weak than may be.",
            registry=self.registry,
        )
        self._confidence = self._histogram(
            semconv.CONFIDENCE, "How sure models seem of their answers.", _CONFIDENCE_BUCKETS, "model"
        )
        self._cache_lookups = self._counter(
            semconv.CACHE_LOOKUPS, "Requests that would take a kept answer, by what they got.", "outcome"
        )
        for outcome in ("hit", "shared", "miss"):
            self._cache_lookups.labels(outcome)
        self._cache_evictions = self._counter(semconv.CACHE_EVICTIONS, "Kept answers that made room for others.")
        self._cache_failures = self._counter(
            semconv.CACHE_FAILURES, "Exchanges with the cache's Redis that failed.", "operation"
        )
        self._attempts = self._counter(semconv.ATTEMPTS, "Tries at an answer.", "deployment", "outcome")
        self.strategies = Tallies(
            semconv.STRATEGIES, "Decisions by the strategy that chose.", ("strategy",), self.registry
        )
        self.experiments = Tallies(
            semconv.EXPERIMENTS, "Decisions that took part in an experiment.", ("experiment", "arm"), self.registry
        )
        self.limit_refusals = self._counter(semconv.LIMIT_REFUSALS, "Requests that a rate limit refused.", "limit")
        self.budget_refusals = self._counter(semconv.BUDGET_REFUSALS, "Requests that a budget refused.", "budget")
        self._decision_s = Spreads(
            semconv.DECISION_SECONDS, "Time that one decision took.", _DECISION_BUCKETS_S, (), self.registry
        ).labels()
        self._unsure = Tallies(
            semconv.UNSURE, "Decisions for which the classifier was not sure enough.", (), self.registry
        ).labels()
        self._calibration_loads = self._counter(
            semconv.CALIBRATION_LOADS, "Calibrations that were loaded or refused while serving.", "outcome"
        )
        for outcome in ("loaded", "refused"):
            self._calibration_loads.labels(outcome)
        self.process_starts = self._counter(
            semconv.PROCESS_STARTS, "Starts of the processes of a server with workers.", "process"
        )
        self._ttft_s = self._histogram(
            semconv.TTFT_SECONDS, "Time from arrival to the model's first token.", _TTFT_BUCKETS_S, "model"
        )
        self._held_s = self._histogram(
            semconv.HELD_SECONDS, "Time from a stream's first token to what its caller saw first.", _TTFT_BUCKETS_S
        )
        self._tpot_s = self._histogram(
            semconv.TPOT_SECONDS, "Time per output token after the first.", _TPOT_BUCKETS_S, "model"
        )
        self._queue_s = self._histogram(
            semconv.QUEUE_WAIT_SECONDS,
            "Time that requests waited for a place which found none free, and had one in the end.",
            _QUEUE_BUCKETS_S,
            "deployment",
            "lane",
        )
        self._shed = self._counter(
            semconv.QUEUE_SHED, "Requests that did not wait, or waited in vain.", "deployment", "lane", "reason"
        )
        method = ("grpc_type", "grpc_service", "grpc_method")
        self._rpc_started = Tallies(semconv.RPC_STARTED, "RPCs that began.", method, self.registry)
        self._rpc_handled = Tallies(semconv.RPC_HANDLED, "RPCs that ended.", (*method, "grpc_code"), self.registry)
        self._rpc_s = Spreads(
            semconv.RPC_SECONDS, "Time that RPCs took, streams as a whole.", _RPC_BUCKETS_S, method, self.registry
        )
        # `labels()` costs more than counting: children are looked up once.
        self._decided: dict[tuple[int, int], Tally] = {}
        self._strategies: dict[str, Tally] = {}
        self._attempts_of = cache(self._attempts.labels)
        self._answers_of = cache(self.answers.labels)
        self._tokens_of = cache(self.tokens.labels)
        self._cost_of = cache(self.cost.labels)
        self._ttft_of = cache(self._ttft_s.labels)
        self._tpot_of = cache(self._tpot_s.labels)

    def decided(self, decision: Decision, duration_s: float) -> None:
        """Count a decision."""
        key = (decision.deployment, decision.complexity)
        counter = self._decided.get(key)
        if counter is None:
            model = decision.model
            counter = self._decided[key] = self.decisions.labels(
                str(model.tier), model.name, decision.complexity.name.lower()
            )
        counter.count += 1
        strategy = self._strategies.get(decision.strategy)
        if strategy is None:
            strategy = self._strategies[decision.strategy] = self.strategies.labels(decision.strategy)
        strategy.count += 1
        if decision.experiment:
            self.experiments.labels(decision.experiment, decision.arm).count += 1
        if not decision.is_sure and decision.confidence is not None:
            self._unsure.count += 1
        self._decision_s.observe(duration_s)

    def calibration_loaded(self) -> None:
        """Count a calibration that decides from now on."""
        self._calibration_loads.labels("loaded").inc()

    def calibration_refused(self) -> None:
        """Count a calibration that could not be used."""
        self._calibration_loads.labels("refused").inc()

    def try_answered(self, deployment: str) -> None:
        """Count a try that answered."""
        self._attempts_of(deployment, "answered").inc()

    def try_failed(self, model: str, deployment: str, reason: str, *, is_models_fault: bool) -> None:
        """Count a try that failed; a request that could not be answered at all is no failure of the model."""
        self._attempts_of(deployment, reason).inc()
        if is_models_fault:
            self.failures.labels(model, reason).inc()

    def fell_back(self, model: str, reason: str) -> None:
        """Count a try that failed and is followed by another."""
        self._fallbacks.labels(model, reason).inc()

    def try_outrun(self, deployment: str) -> None:
        """Count a try that another was faster than."""
        self._attempts_of(deployment, "outrun").inc()

    def retried(self, deployment: str, reason: str) -> None:
        """Count a try that failed, after which the same deployment is asked again."""
        self._retries.labels(deployment, reason).inc()

    def retry_refused(self, deployment: str) -> None:
        """Count a retry for which the budget had no room."""
        self._retry_refusals.labels(deployment).inc()

    def taken_over(self, model: str, reason: str) -> None:
        """Count an answer that a model broke off and another goes on with."""
        self._takeovers.labels(model, reason).inc()

    def hedged(self, deployment: str, outcome: str) -> None:
        """Count a second deployment that was asked (`sent`), or was faster (`won`)."""
        self._hedges.labels(deployment, outcome).inc()

    def judged(self, tier: int, *, is_weak: bool) -> None:
        """Count an answer that was judged before it was shown."""
        self._judged.labels(str(tier), "weak" if is_weak else "good").inc()

    def weak_alarm(self, *, is_raised: bool) -> None:
        """Tell whether more of the latest judged answers are weak than may be."""
        self._weak_alarm.set(is_raised)

    def escalated(self, tier: int, sign: str) -> None:
        """Count a weak answer of this tier that is asked again, by what gave it away."""
        self._escalations.labels(str(tier), sign).inc()

    def not_escalated(self, tier: int, reason: str) -> None:
        """Count a weak answer that is shown because `nobody` above may answer, or as many as may have been asked again (`share`)."""
        self._escalations_forgone.labels(str(tier), reason).inc()

    def confidence(self, model: str, confidence: float) -> None:
        """Observe how sure a model seems of a completed answer."""
        self._confidence.labels(model).observe(confidence)

    def cache_looked_up(self, outcome: str) -> None:
        """Count a request that would take a kept answer: it got one (`hit`), that of another under way (`shared`), or its own (`miss`)."""
        self._cache_lookups.labels(outcome).inc()

    def cache_evicted(self) -> None:
        """Count a kept answer that made room."""
        self._cache_evictions.inc()

    def cache_failed(self, operation: str) -> None:
        """Count a `get` or `put` of the cache's Redis that failed."""
        self._cache_failures.labels(operation).inc()

    def answered(self, model: str) -> None:
        """Count an answer that this model completed."""
        self._answers_of(model).inc()

    def spent(
        self, model: str, *, input_tokens: int, cached_input_tokens: int, output_tokens: int, cost_picousd: int
    ) -> None:
        """Count what one try at an answer took, whatever became of it."""
        self._tokens_of(model, "input").inc(input_tokens)
        self._tokens_of(model, "cached_input").inc(cached_input_tokens)
        self._tokens_of(model, "output").inc(output_tokens)
        self._cost_of(model).inc(cost_picousd * _PICO)

    def paced(self, model: str, first_token_s: float, per_token_s: float | None) -> None:
        """Observe how fast a completed answer came; `per_token_s` is None for an answer of one token."""
        self._ttft_of(model).observe(first_token_s)
        if per_token_s is not None:
            self._tpot_of(model).observe(per_token_s)

    def held(self, hold_s: float) -> None:
        """Observe how long the beginning of a stream was not shown."""
        self._held_s.observe(hold_s)

    def waited(self, deployment: str, lane: str, wait_s: float) -> None:
        """Observe how long a request waited for its place."""
        self._queue_s.labels(deployment, lane).observe(wait_s)

    def shed(self, deployment: str, lane: str, reason: str) -> None:
        """Count a request that did not wait, or in vain."""
        self._shed.labels(deployment, lane, reason).inc()

    def queues(self, read: Callable[[], Iterable[tuple[str, str, int]]]) -> None:
        """Export how many wait, by deployment and lane, as it is when it is scraped."""
        self.registry.register(_Depths(read))

    def limit_refused(self, limit: str) -> None:
        """Count a request that a rate limit refused."""
        self.limit_refusals.labels(limit).inc()

    def budget_refused(self, budget: str) -> None:
        """Count a request that a budget refused."""
        self.budget_refusals.labels(budget).inc()

    def failed(self, reason: str) -> None:
        """Count a request that ended in an error."""
        self.errors.labels(reason).inc()

    def rpc(self, kind: str, service: str, method: str, codes: Iterable[str]) -> RpcMetrics:
        """The counters of one RPC method, every code at 0 from the start so that rates have a beginning."""
        return RpcMetrics(
            self._rpc_started.labels(kind, service, method),
            {code: self._rpc_handled.labels(kind, service, method, code) for code in codes},
            self._rpc_s.labels(kind, service, method),
        )

    def gauge(self, name: str, documentation: str, label: str, read: Callable[[], Mapping[str, float]]) -> None:
        """Export a gauge whose values are read when it is scraped."""
        self.registry.register(_ReadGauge(name, documentation, label, read))

    def _counter(self, name: str, documentation: str, *labels: str) -> Counter:
        return Counter(name, documentation, labels, registry=self.registry)

    def _histogram(self, name: str, documentation: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(name, documentation, labels, buckets=buckets, registry=self.registry)


class RpcMetrics:
    """The counters of one RPC method."""

    __slots__ = ("_handled", "_seconds", "_started")

    def __init__(self, started: Tally, handled: Mapping[str, Tally], seconds: Spread) -> None:
        self._started = started
        self._handled = handled
        self._seconds = seconds

    def started(self) -> None:
        """Count an RPC that begins."""
        self._started.count += 1

    def handled(self, code: str, duration_s: float) -> None:
        """Count an RPC that ends; `code` as Go names it (`OK`, `InvalidArgument`)."""
        self._handled[code].count += 1
        self._seconds.observe(duration_s)


class _ReadGauge(Collector):
    def __init__(self, name: str, documentation: str, label: str, read: Callable[[], Mapping[str, float]]) -> None:
        self._name, self._documentation, self._label, self._read = name, documentation, label, read

    def collect(self) -> Iterable[GaugeMetricFamily]:
        family = GaugeMetricFamily(self._name, self._documentation, labels=[self._label])
        for value, number in self._read().items():
            family.add_metric([value], number)
        yield family


class _Depths(Collector):
    def __init__(self, read: Callable[[], Iterable[tuple[str, str, int]]]) -> None:
        self._read = read

    def collect(self) -> Iterable[GaugeMetricFamily]:
        family = GaugeMetricFamily(
            semconv.QUEUE_DEPTH, "Requests that wait for a place.", labels=["deployment", "lane"]
        )
        for deployment, lane, number in self._read():
            family.add_metric([deployment, lane], number)
        yield family
