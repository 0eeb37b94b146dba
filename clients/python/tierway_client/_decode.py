"""The contract's messages as this client's values: decisions and answers.

Absent in the contract is None here. Numbers that an enum does not name survive (see `_enums`); events of an unknown kind are None.
"""

from collections.abc import Iterable

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message as ProtoMessage

from tierway.v1 import router_service_pb2 as rpc
from tierway.v1 import types_pb2 as pb
from tierway_client._enums import (
    AttemptOutcome,
    Complexity,
    FeatureKind,
    FinishReason,
    Label,
    ReasonCode,
)
from tierway_client._errors import TierwayError
from tierway_client._events import AttemptFailed, Delta, Event, Finished, Started
from tierway_client._explanation import Assessment, Candidate, Explanation, Feature
from tierway_client._results import Answer, Attempt, Decision, Reason, Timings, TokenLogprob, TopLogprob, Usage
from tierway_client._status import error_from_result
from tierway_client._tools import ToolCall

_LABELS = (Label.SIMPLE, Label.MEDIUM, Label.COMPLEX, Label.REASONING)
"""The order of the contract's `label_probabilities`."""


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
        usage=decode_usage(response.usage),
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
                usage=decode_usage(finished.usage),
                cost_usd=finished.cost_usd,
                timings=_timings(finished.timings),
                finish_reason=FinishReason(finished.finish_reason),
                confidence=_optional(finished, "confidence"),
                attempts=_attempts(finished.attempts),
                cached=finished.cached,
                constitution_hash=finished.constitution_hash,
            )
    return None


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


def decode_usage(usage: pb.Usage) -> Usage:
    return Usage(
        input_tokens=usage.input_tokens,
        cached_input_tokens=usage.cached_input_tokens,
        output_tokens=usage.output_tokens,
        reasoning_tokens=usage.reasoning_tokens,
    )


def _timings(timings: pb.Timings) -> Timings:
    return Timings(
        decision_s=seconds(timings.decision_time),
        time_to_first_token_s=optional_seconds(timings, "time_to_first_token"),
        total_s=seconds(timings.total_time),
        hold_s=seconds(timings.hold_time),
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


def seconds(duration: Duration) -> float:
    return duration.seconds + duration.nanos / 1e9


def optional_seconds(message: ProtoMessage, field: str) -> float | None:
    return seconds(getattr(message, field)) if message.HasField(field) else None
