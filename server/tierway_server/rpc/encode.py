"""From the domain to the wire."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any

from google.protobuf.duration_pb2 import Duration

from tierway.v1 import router_service_pb2 as router_pb
from tierway.v1 import types_pb2 as types_pb
from tierway_core import Decision, Deployment, Reason, Table, explain
from tierway_server.backends.base import TokenLogprob, Usage
from tierway_server.flow.events import Attempt, Delta, Event, FellBack, Finished, Started, Timings

PICO = 1e-12

# Field 1 of RouteResponse, length-delimited.
_DECISION_TAG = bytes([router_pb.RouteResponse.DECISION_FIELD_NUMBER << 3 | 2])

_LABELS: Mapping[str, int] = {name.removeprefix("LABEL_"): number for name, number in types_pb.Label.items() if number}

# Some 100 bytes each; in traffic of many lengths a few thousand come again.
_MOST_KEPT = 4_096


class DecisionEncoder:
    """Encodes the decisions of one table.

    Reasons are most of a decision's bytes, and the same sentences come again and again: what the query looks like, what was left out
    while nothing changed, what an answer of so many tokens costs. Each of these parts is encoded once and kept, where its sentences
    follow from its key alone. Parts are joined as bytes: one serialised message behind another is their merger (protobuf's encoding
    guide, "Last One Wins"), and repeated fields append.
    """

    def __init__(self, table: Table) -> None:
        self._chosen = [_chosen(deployment) for deployment in table.deployments]
        self._openings = _Parts(lambda decision: _explained(explain.opening(decision)))
        self._choices = _Parts(self._choice)
        self._closings = _Parts(lambda decision: _explained(explain.closing(decision)))

    def encode(self, decision: Decision, decision_id: str, *, is_explained: bool = True) -> bytes:
        """A serialised `Decision`; without its reasons and chain unless `is_explained`."""
        own = types_pb.Decision(
            decision_id=decision_id,
            complexity=decision.complexity.value,  # type: ignore[arg-type]  # open enums are ints
            estimated_cost_usd=decision.estimated_cost_picousd * PICO,
            **_assessed(decision),
        ).SerializeToString()
        if not is_explained:
            return own + self._chosen[decision.deployment]
        struck = explain.struck_key(decision)
        choice = None if struck is None else (struck, decision.deployment, decision.request.allow_fallback)
        return b"".join(
            (
                own,
                self._openings.of(decision, explain.opening_key(decision)),
                self._choices.of(decision, choice),
                self._closings.of(decision, explain.closing_key(decision)),
            )
        )

    def _choice(self, decision: Decision) -> bytes:
        """What was chosen, what may follow, and what was left out."""
        chain = types_pb.Decision(fallback_chain=decision.fallback_models).SerializeToString()
        return self._chosen[decision.deployment] + chain + _explained(explain.struck(decision))


class _Parts:
    """One part of many decisions, encoded, by what it follows from."""

    def __init__(self, encoded: Callable[[Decision], bytes]) -> None:
        self._encoded = encoded
        self._kept: dict[Hashable, bytes] = {}

    def of(self, decision: Decision, key: Hashable | None) -> bytes:
        """The part of this decision; a key of None says that it follows from more than a key holds."""
        if key is None:
            return self._encoded(decision)
        if (known := self._kept.get(key)) is None:
            if len(self._kept) >= _MOST_KEPT:
                self._kept.clear()
            known = self._kept[key] = self._encoded(decision)
        return known


def _assessed(decision: Decision) -> dict[str, Any]:
    """What the classifier adds to a decision."""
    assessment = decision.assessment
    if assessment is None:
        return {}
    return {
        "confidence": assessment.confidence,
        "expected_quality": decision.expected_quality,
        "difficulty": assessment.difficulty,
        "domain": assessment.domain,
        "label": label(assessment.label),
        "cost_quality": decision.cost_quality,
    }


def label(name: str) -> int:
    """The contract's number for a label of the core."""
    return _LABELS[name]


def _chosen(deployment: Deployment) -> bytes:
    model, spec = deployment.model, deployment.spec
    return types_pb.Decision(
        tier=model.tier,
        model=model.name,
        deployment=spec.name,
        provider=spec.provider,
        compliance_score=model.compliance,
    ).SerializeToString()


def _explained(reasons: Iterable[Reason]) -> bytes:
    message = types_pb.Decision()
    for code, subject, detail in reasons:
        message.reasons.add(code=code, subject=subject, detail=detail)
    return message.SerializeToString()


def route_response(decision: bytes, constitution_hash: str, request_id: str) -> bytes:
    """A serialised `RouteResponse` around a serialised decision, which is not parsed again for it."""
    rest = router_pb.RouteResponse(constitution_hash=constitution_hash, request_id=request_id).SerializeToString()
    return b"".join((_DECISION_TAG, _varint(len(decision)), decision, rest))


def _varint(number: int) -> bytes:
    """Base-128, least significant group first."""
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def event_message(
    decisions: DecisionEncoder, event: Event, *, decision_id: str, request_id: str, constitution_hash: str
) -> router_pb.StreamResponse:
    """One event of a stream."""
    match event:
        case Delta(chunk):
            delta = router_pb.StreamDelta(text=chunk.text, token_count=chunk.token_count)
            if chunk.logprobs:
                delta.logprobs.extend(logprob_messages(chunk.logprobs))
            return router_pb.StreamResponse(delta=delta)
        case Started(decision):
            started = router_pb.StreamStarted(constitution_hash=constitution_hash, request_id=request_id)
            started.decision.MergeFromString(decisions.encode(decision, decision_id))
            return router_pb.StreamResponse(started=started)
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
