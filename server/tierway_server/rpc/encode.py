"""From the domain to the wire."""

from __future__ import annotations

from collections.abc import Iterable

from google.protobuf.duration_pb2 import Duration

from tierway.v1 import router_service_pb2 as router_pb
from tierway.v1 import types_pb2 as types_pb
from tierway_core import Decision, Table
from tierway_server.backends.base import TokenLogprob, Usage
from tierway_server.flow.events import Attempt, Delta, Event, FellBack, Finished, Started, Timings

PICO = 1e-12


def decision_message(
    table: Table, decision: Decision, decision_id: str, *, is_explained: bool = True
) -> types_pb.Decision:
    """A decision; without its reasons and chain unless `is_explained`."""
    model = decision.model
    deployment = table.deployments[decision.deployment].spec
    message = types_pb.Decision(
        decision_id=decision_id,
        tier=model.tier,
        model=model.name,
        deployment=deployment.name,
        provider=deployment.provider,
        complexity=decision.complexity.value,  # type: ignore[arg-type]  # open enums are ints
        estimated_cost_usd=decision.estimated_cost_picousd * PICO,
        compliance_score=model.compliance,
    )
    if is_explained:
        message.fallback_chain.extend(decision.fallback_models)
        add = message.reasons.add
        for code, subject, detail in decision.reasons:
            add(code=code, subject=subject, detail=detail)
    return message


def event_message(
    table: Table, event: Event, *, decision_id: str, request_id: str, constitution_hash: str
) -> router_pb.StreamResponse:
    """One event of a stream."""
    match event:
        case Delta(chunk):
            delta = router_pb.StreamDelta(text=chunk.text, token_count=chunk.token_count)
            if chunk.logprobs:
                delta.logprobs.extend(logprob_messages(chunk.logprobs))
            return router_pb.StreamResponse(delta=delta)
        case Started(decision):
            return router_pb.StreamResponse(
                started=router_pb.StreamStarted(
                    decision=decision_message(table, decision, decision_id),
                    constitution_hash=constitution_hash,
                    request_id=request_id,
                )
            )
        case FellBack(attempt):
            return router_pb.StreamResponse(attempt=attempt_message(attempt))
        case Finished():
            return router_pb.StreamResponse(
                finished=router_pb.StreamFinished(
                    usage=usage_message(event.usage),
                    cost_usd=event.cost_picousd * PICO,
                    timings=timings_message(event.timings),
                    finish_reason=int(event.finish_reason),  # type: ignore[arg-type]
                    attempts=[attempt_message(attempt) for attempt in event.attempts],
                    constitution_hash=constitution_hash,
                )
            )


def attempt_message(attempt: Attempt) -> types_pb.Attempt:
    """One try at an answer."""
    outcome = types_pb.ATTEMPT_OUTCOME_FELL_BACK if attempt.reason else types_pb.ATTEMPT_OUTCOME_ANSWERED
    return types_pb.Attempt(model=attempt.model, deployment=attempt.deployment, outcome=outcome, reason=attempt.reason)


def usage_message(usage: Usage) -> types_pb.Usage:
    """Tokens of one answer."""
    return types_pb.Usage(
        input_tokens=usage.input_tokens,
        cached_input_tokens=usage.cached_input_tokens,
        output_tokens=usage.output_tokens,
    )


def timings_message(timings: Timings) -> types_pb.Timings:
    """Where the time went."""
    return types_pb.Timings(
        decision_time=duration(timings.decision_s),
        time_to_first_token=duration(timings.first_token_s),
        total_time=duration(timings.total_s),
    )


def logprob_messages(logprobs: Iterable[TokenLogprob]) -> Iterable[types_pb.TokenLogprob]:
    """Log-probabilities, token by token."""
    for entry in logprobs:
        top = [types_pb.TopLogprob(token=token, logprob=logprob) for token, logprob in entry.top]
        yield types_pb.TokenLogprob(token=entry.token, logprob=entry.logprob, top=top)


def duration(seconds: float) -> Duration:
    """A protobuf Duration."""
    nanoseconds = round(seconds * 1e9)
    return Duration(seconds=nanoseconds // 1_000_000_000, nanos=nanoseconds % 1_000_000_000)
