"""Between this client's values and the contract's messages. The one place that knows both.

Absent in the contract is None here. Numbers that an enum does not name survive (see `_enums`); events of an unknown kind are None.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from datetime import UTC
from typing import Any, TypeVar, cast

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message as ProtoMessage
from google.protobuf.struct_pb2 import Struct

from tierway.v1 import router_service_pb2 as rpc
from tierway.v1 import types_pb2 as pb
from tierway_client._enums import (
    AttemptOutcome,
    BreakerState,
    Complexity,
    FeatureKind,
    FinishReason,
    Label,
    Priority,
    ReasonCode,
)
from tierway_client._errors import InvalidArgumentError, TierwayError
from tierway_client._events import AttemptFailed, Delta, Event, Finished, Started
from tierway_client._explanation import Assessment, Candidate, Explanation, Feature
from tierway_client._fleet import (
    AnswerStats,
    BudgetStats,
    ClassifierStats,
    DeploymentInfo,
    DeploymentStats,
    LimitStats,
    ModelInfo,
    ModelStats,
    Stats,
)
from tierway_client._query import Image, JsonObject, JsonSchema, Message, Preferences, Query, Sampling, Text
from tierway_client._results import Answer, Attempt, Decision, Reason, Timings, TokenLogprob, TopLogprob, Usage
from tierway_client._status import error_from_result
from tierway_client._tools import Tool, ToolCall, ToolChoice

_Request = TypeVar("_Request", rpc.RouteRequest, rpc.ExplainRequest, rpc.ExecuteRequest, rpc.StreamRequest)

_LABELS = (Label.SIMPLE, Label.MEDIUM, Label.COMPLEX, Label.REASONING)
"""The order of the contract's `label_probabilities`."""


def encode_request(request_type: type[_Request], query: Query) -> _Request:
    """The request message of Route, Explain, Execute or Stream.

    Raises:
        InvalidArgumentError: A value does not fit the contract's type (text for a number, a number out of its range, a lone surrogate).
    """
    with _naming("query"):
        asked = pb.Query(
            prompt=query.prompt,
            messages=[_encode_message(message) for message in query.messages or ()],
            response_format=_encode_response_format(query.response_format),
            tools=[_encode_tool(tool) for tool in query.tools],
            tool_choice=_encode_tool_choice(query.tool_choice) if query.tool_choice is not None else None,
        )
    with _naming("preferences"):
        preferences = _encode_preferences(query.preferences) if query.preferences is not None else None
    with _naming("sampling"):
        sampling = _encode_sampling(query.sampling) if query.sampling is not None else None
    with _naming("request_id"):
        return request_type(query=asked, preferences=preferences, sampling=sampling, request_id=query.request_id)


def encode_explain(query: Query, *, max_features: int) -> rpc.ExplainRequest:
    """The request message of Explain."""
    request = encode_request(rpc.ExplainRequest, query)
    with _naming("max_features"):
        request.max_features = max_features
    return request


def encode_batch(queries: Iterable[str | Query], *, include_reasons: bool) -> rpc.RouteBatchRequest:
    """The request message of RouteBatch; text stands for a query of just that prompt."""
    asked = (Query(query) if isinstance(query, str) else query for query in queries)
    return rpc.RouteBatchRequest(
        requests=[encode_request(rpc.RouteRequest, query) for query in asked], include_reasons=include_reasons
    )


def decode_route(response: rpc.RouteResponse) -> Decision:
    """The reply of Route."""
    return _decision(response.decision, response.constitution_hash, response.request_id)


def decode_explain(response: rpc.ExplainResponse) -> Explanation:
    """The reply of Explain."""
    return Explanation(
        decision=_decision(response.decision, response.constitution_hash, response.request_id),
        assessment=_assessment(response.assessment) if response.HasField("assessment") else None,
        candidates=tuple(map(_candidate, response.candidates)),
        features=tuple(
            Feature(kind=FeatureKind(each.kind), name=each.name, weight=each.weight) for each in response.features
        ),
    )


def decode_batch(response: rpc.RouteBatchResponse) -> tuple[Decision | TierwayError, ...]:
    """The reply of RouteBatch: for each query its decision, or the error that Route would have raised."""
    return tuple(
        error_from_result(result.error, request_id=result.request_id)
        if result.HasField("error")
        else _decision(result.decision, response.constitution_hash, result.request_id)
        for result in response.results
    )


def decode_answer(response: rpc.ExecuteResponse) -> Answer:
    """The reply of Execute."""
    return Answer(
        text=response.text,
        decision=_decision(response.decision, response.constitution_hash, response.request_id),
        usage=_usage(response.usage),
        cost_usd=response.cost_usd,
        timings=_timings(response.timings),
        finish_reason=FinishReason(response.finish_reason),
        attempts=_attempts(response.attempts),
        logprobs=_logprobs(response.logprobs),
        tool_calls=_tool_calls(response.tool_calls),
        confidence=_optional(response, "confidence"),
        cached=response.cached,
        constitution_hash=response.constitution_hash,
        request_id=response.request_id,
    )


def decode_event(response: rpc.StreamResponse) -> Event | None:
    """One event of Stream; None when this version does not know its kind."""
    match response.WhichOneof("event"):
        case "delta":
            delta = response.delta
            return Delta(
                text=delta.text,
                token_count=delta.token_count,
                logprobs=_logprobs(delta.logprobs),
                tool_calls=_tool_calls(delta.tool_calls),
            )
        case "started":
            started = response.started
            return Started(
                decision=_decision(started.decision, started.constitution_hash, started.request_id),
                constitution_hash=started.constitution_hash,
                request_id=started.request_id,
            )
        case "attempt":
            return AttemptFailed(attempt=_attempt(response.attempt))
        case "finished":
            finished = response.finished
            return Finished(
                usage=_usage(finished.usage),
                cost_usd=finished.cost_usd,
                timings=_timings(finished.timings),
                finish_reason=FinishReason(finished.finish_reason),
                confidence=_optional(finished, "confidence"),
                attempts=_attempts(finished.attempts),
                cached=finished.cached,
                constitution_hash=finished.constitution_hash,
            )
    return None


def decode_model(model: rpc.Model) -> ModelInfo:
    """One model of ListModels."""
    return ModelInfo(
        name=model.name,
        tier=model.tier,
        compliance_score=model.compliance_score,
        vision=model.vision,
        input_usd_per_million_tokens=model.input_usd_per_million_tokens,
        cached_input_usd_per_million_tokens=model.cached_input_usd_per_million_tokens,
        output_usd_per_million_tokens=model.output_usd_per_million_tokens,
        fallback_chain=tuple(model.fallback_chain),
        deployments=tuple(
            DeploymentInfo(
                name=each.name,
                provider=each.provider,
                available=each.available,
                unavailable_reason=each.unavailable_reason,
                context_tokens=each.context_tokens,
                expected_latency_s=_optional_seconds(each, "expected_latency"),
                region=each.region,
            )
            for each in model.deployments
        ),
    )


def decode_stats(response: rpc.GetStatsResponse) -> Stats:
    """The reply of GetStats."""
    return Stats(
        start_time=response.start_time.ToDatetime(tzinfo=UTC),
        models=tuple(
            ModelStats(
                model=each.model,
                decisions=each.decisions,
                answers=each.answers,
                failures=each.failures,
                usage=_usage(each.usage),
                cost_usd=each.cost_usd,
            )
            for each in response.models
        ),
        decisions_by_tier={each.tier: each.decisions for each in response.tiers},
        errors_by_reason={each.reason: each.count for each in response.errors},
        in_flight=response.in_flight,
        classifier=_classifier(response.classifier) if response.HasField("classifier") else None,
        count_start_time=response.count_start_time.ToDatetime(tzinfo=UTC),
        deployments=tuple(map(decode_deployment_stats, response.deployments)),
        limits=tuple(
            LimitStats(limit=each.limit, wait_s=_seconds(each.wait_time), refusals=each.refusals)
            for each in response.limits
        ),
        budgets=tuple(map(_budget_stats, response.budgets)),
        decisions_by_strategy={each.strategy: each.decisions for each in response.strategies},
        decisions_by_experiment=_by_experiment(response.experiments),
        answers=_answer_stats(response.answers),
        constitution_hash=response.constitution_hash,
    )


def _by_experiment(stats: Iterable[rpc.ExperimentStats]) -> dict[str, dict[str, int]]:
    arms: dict[str, dict[str, int]] = {}
    for each in stats:
        arms.setdefault(each.experiment, {})[each.arm] = each.decisions
    return arms


def decode_deployment_stats(stats: rpc.DeploymentStats) -> DeploymentStats:
    """How a deployment stands, in the replies of GetStats and SetBreaker."""
    return DeploymentStats(
        deployment=stats.deployment,
        breaker=BreakerState(stats.breaker),
        breaker_forced=stats.breaker_forced,
        error_share=stats.error_share,
        in_flight=stats.in_flight,
        first_token_s=_seconds(stats.first_token_time),
        token_s=_seconds(stats.token_time),
        minute_requests=stats.minute_requests,
        minute_tokens=stats.minute_tokens,
        waiting={Priority(each.priority): each.waiting for each in stats.lanes},
        shed={Priority(each.priority): each.shed for each in stats.lanes},
    )


def _answer_stats(stats: rpc.AnswerStats) -> AnswerStats:
    return AnswerStats(**{field.name: getattr(stats, field.name) for field in fields(AnswerStats)})


def _budget_stats(stats: rpc.BudgetStats) -> BudgetStats:
    return BudgetStats(
        budget=stats.budget,
        limit_usd=stats.limit_usd,
        spent_usd=stats.spent_usd,
        reserved_usd=stats.reserved_usd,
        remaining_usd=stats.remaining_usd,
        hard=stats.hard,
        refusals=stats.refusals,
    )


def _classifier(stats: rpc.ClassifierStats) -> ClassifierStats:
    return ClassifierStats(
        weights=stats.weights,
        calibration=stats.calibration,
        calibration_load_time=stats.calibration_load_time.ToDatetime(tzinfo=UTC)
        if stats.HasField("calibration_load_time")
        else None,
    )


@contextmanager
def _naming(field: str) -> Iterator[None]:
    """Turns protobuf's refusal of a value into an error that names the part of the request."""
    try:
        yield
    except (TypeError, ValueError, OverflowError, AttributeError) as error:
        raise InvalidArgumentError.of_field(field, f"a value does not fit the contract: {error}") from error


def _encode_message(message: Message) -> pb.Message:
    return pb.Message(
        role=cast("pb.Role", message.role),
        parts=[_encode_part(part) for part in message.parts],
        tool_calls=[pb.ToolCall(id=call.id, name=call.name, arguments=call.arguments) for call in message.tool_calls],
        tool_call_id=message.tool_call_id,
    )


def _encode_part(part: Text | Image) -> pb.Part:
    if isinstance(part, Image):
        return pb.Part(image=pb.Image(data=part.data, uri=part.uri, mime_type=part.mime_type))
    return pb.Part(text=part.text)


def _encode_response_format(form: JsonObject | JsonSchema | None) -> pb.ResponseFormat | None:
    match form:
        case None:
            return None
        case JsonObject():
            return pb.ResponseFormat(json_object=pb.JsonObject())
        case JsonSchema(schema):
            return pb.ResponseFormat(json_schema=_struct(schema))
    raise TypeError(f"response_format must be a JsonObject or a JsonSchema, not {type(form).__name__}")


def _encode_tool(tool: Tool) -> pb.Tool:
    return pb.Tool(name=tool.name, description=tool.description, parameters=_struct(tool.parameters))


def _encode_tool_choice(choice: ToolChoice) -> pb.ToolChoice:
    return pb.ToolChoice(mode=cast("pb.ToolMode | None", choice.mode), name=choice.name, parallel=choice.parallel)


def _struct(values: Mapping[str, object]) -> Struct:
    struct = Struct()
    struct.update(cast("dict[str, Any]", values))
    return struct


def _encode_preferences(preferences: Preferences) -> pb.Preferences:
    budget_s, cache_age_s = preferences.latency_budget_s, preferences.max_cache_age_s
    return pb.Preferences(
        agent=preferences.agent,
        task_type=preferences.task_type,
        force_model=preferences.force_model,
        min_tier=preferences.min_tier,
        max_tier=preferences.max_tier,
        max_cost_usd=preferences.max_cost_usd,
        latency_budget=_duration(budget_s) if budget_s is not None else None,
        min_compliance=preferences.min_compliance,
        cost_quality=preferences.cost_quality,
        allow_fallback=preferences.allow_fallback,
        allow_escalation=preferences.allow_escalation,
        expected_constitution_hash=preferences.expected_constitution_hash,
        strategy=preferences.strategy,
        regions=preferences.regions,
        sticky_key=preferences.sticky_key,
        allow_takeover=preferences.allow_takeover,
        allow_hedging=preferences.allow_hedging,
        max_cache_age=_duration(cache_age_s) if cache_age_s is not None else None,
        priority=cast("pb.Priority | None", preferences.priority),
    )


def _encode_sampling(sampling: Sampling) -> pb.Sampling:
    return pb.Sampling(
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        top_k=sampling.top_k,
        max_tokens=sampling.max_tokens,
        stop=sampling.stop,
        seed=sampling.seed,
        presence_penalty=sampling.presence_penalty,
        frequency_penalty=sampling.frequency_penalty,
        top_logprobs=sampling.top_logprobs,
    )


def _decision(decision: pb.Decision, constitution_hash: str, request_id: str) -> Decision:
    return Decision(
        decision_id=decision.decision_id,
        tier=decision.tier,
        model=decision.model,
        deployment=decision.deployment,
        provider=decision.provider,
        complexity=Complexity(decision.complexity),
        confidence=_optional(decision, "confidence"),
        expected_quality=_optional(decision, "expected_quality"),
        difficulty=_optional(decision, "difficulty"),
        domain=decision.domain,
        label=Label(decision.label),
        cost_quality=_optional(decision, "cost_quality"),
        reasons=tuple(map(_reason, decision.reasons)),
        estimated_cost_usd=decision.estimated_cost_usd,
        fallback_chain=tuple(decision.fallback_chain),
        compliance_score=decision.compliance_score,
        strategy=decision.strategy,
        rule=decision.rule,
        experiment=decision.experiment,
        arm=decision.arm,
        shadow_model=decision.shadow_model,
        constitution_hash=constitution_hash,
        request_id=request_id,
    )


def _reason(reason: pb.Reason) -> Reason:
    return Reason(code=ReasonCode(reason.code), subject=reason.subject, detail=reason.detail)


def _assessment(assessment: pb.Assessment) -> Assessment:
    return Assessment(
        difficulty=assessment.difficulty,
        sigma=assessment.sigma,
        band_pass=tuple(assessment.band_pass),
        tier=assessment.tier,
        domain=assessment.domain,
        domain_probability=assessment.domain_probability,
        label=Label(assessment.label),
        # Not strict: a newer server may know more labels.
        label_probabilities=dict(zip(_LABELS, assessment.label_probabilities, strict=False)),
        confidence=assessment.confidence,
        familiarity=assessment.familiarity,
        gain=_optional(assessment, "gain"),
    )


def _candidate(candidate: pb.Candidate) -> Candidate:
    return Candidate(
        deployment=candidate.deployment,
        model=candidate.model,
        tier=candidate.tier,
        expected_quality=_optional(candidate, "expected_quality"),
        cost_usd=candidate.cost_usd,
        utility=_optional(candidate, "utility"),
        rank=candidate.rank,
        left_out=_reason(candidate.left_out) if candidate.HasField("left_out") else None,
    )


def _usage(usage: pb.Usage) -> Usage:
    return Usage(
        input_tokens=usage.input_tokens,
        cached_input_tokens=usage.cached_input_tokens,
        output_tokens=usage.output_tokens,
        reasoning_tokens=usage.reasoning_tokens,
    )


def _timings(timings: pb.Timings) -> Timings:
    return Timings(
        decision_s=_seconds(timings.decision_time),
        time_to_first_token_s=_optional_seconds(timings, "time_to_first_token"),
        total_s=_seconds(timings.total_time),
        hold_s=_seconds(timings.hold_time),
    )


def _attempts(attempts: Iterable[pb.Attempt]) -> tuple[Attempt, ...]:
    return tuple(_attempt(attempt) for attempt in attempts)


def _attempt(attempt: pb.Attempt) -> Attempt:
    return Attempt(
        model=attempt.model,
        deployment=attempt.deployment,
        outcome=AttemptOutcome(attempt.outcome),
        reason=attempt.reason,
        text_characters=attempt.text_characters,
        cost_usd=attempt.cost_usd,
    )


def _logprobs(logprobs: Iterable[pb.TokenLogprob]) -> tuple[TokenLogprob, ...]:
    return tuple(
        TokenLogprob(
            token=each.token,
            logprob=each.logprob,
            top=tuple(TopLogprob(token=top.token, logprob=top.logprob) for top in each.top),
        )
        for each in logprobs
    )


def _tool_calls(calls: Iterable[pb.ToolCall]) -> tuple[ToolCall, ...]:
    return tuple(ToolCall(id=call.id, name=call.name, arguments=call.arguments) for call in calls)


def _optional(message: ProtoMessage, field: str) -> float | None:
    return float(getattr(message, field)) if message.HasField(field) else None


def _duration(seconds: float) -> Duration:
    duration = Duration()
    duration.FromNanoseconds(round(seconds * 1e9))
    return duration


def _seconds(duration: Duration) -> float:
    return duration.seconds + duration.nanos / 1e9


def _optional_seconds(message: ProtoMessage, field: str) -> float | None:
    return _seconds(getattr(message, field)) if message.HasField(field) else None
