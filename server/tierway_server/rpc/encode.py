"""From the domain to the wire."""

from __future__ import annotations

import struct
from collections.abc import Callable, Hashable, Iterable, Mapping

from google.protobuf.duration_pb2 import Duration

from tierway.v1 import router_service_pb2 as router_pb
from tierway.v1 import types_pb2 as types_pb
from tierway_core import Decision, Reason, Table, explain
from tierway_server.backends.base import TokenLogprob, ToolCall, Usage
from tierway_server.flow.events import Attempt, Delta, Event, Finished, Started, Timings, Tried

PICO = 1e-12

# Wire types: a double, and what is preceded by its length (protobuf's encoding guide).
_I64, _LEN = 1, 2
_DECISION_TAG = bytes([router_pb.RouteResponse.DECISION_FIELD_NUMBER << 3 | _LEN])
_RESULT_TAG = bytes([router_pb.RouteBatchResponse.RESULTS_FIELD_NUMBER << 3 | _LEN])
_RESULT_ID_TAG = bytes([router_pb.RouteResult.REQUEST_ID_FIELD_NUMBER << 3 | _LEN])

# What no two decisions share, a tag before each: its name, which is a UUID's text, then its numbers.
_NAMED = struct.Struct("<BB36sBd")
_ID_TAG = types_pb.Decision.DECISION_ID_FIELD_NUMBER << 3 | _LEN
_COST_TAG = types_pb.Decision.ESTIMATED_COST_USD_FIELD_NUMBER << 3 | _I64
_JUDGED = struct.Struct("<BdBdBd")
_CONFIDENCE_TAG = types_pb.Decision.CONFIDENCE_FIELD_NUMBER << 3 | _I64
_QUALITY_TAG = types_pb.Decision.EXPECTED_QUALITY_FIELD_NUMBER << 3 | _I64
_DIFFICULTY_TAG = types_pb.Decision.DIFFICULTY_FIELD_NUMBER << 3 | _I64

_LABELS: Mapping[str, int] = {name.removeprefix("LABEL_"): number for name, number in types_pb.Label.items() if number}

_KNOWN_LENGTHS = 1 << 11


def _varint(number: int) -> bytes:
    """Base-128, least significant group first."""
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


_LENGTHS = tuple(map(_varint, range(_KNOWN_LENGTHS)))


def _length(number: int) -> bytes:
    """A length as it stands before what is so long; three of them go into each result of a batch."""
    return _LENGTHS[number] if number < _KNOWN_LENGTHS else _varint(number)


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
        self._table = table
        self._chosen = _Parts(self._chosen_and_read)
        self._openings = _Parts(lambda decision: _explained(explain.opening(decision)))
        self._choices = _Parts(self._choice)
        self._closings = _Parts(lambda decision: _explained(explain.closing(decision)))

    def encode(self, decision: Decision, decision_id: str, *, is_explained: bool = True) -> bytes:
        """A serialised `Decision`; without its reasons and chain unless `is_explained`."""
        own = _own(decision, decision_id)
        chosen = self._chosen.of(
            decision,
            (
                decision.deployment,
                decision.complexity,
                decision.domain,
                decision.label,
                decision.cost_quality,
                decision.strategy,
                decision.rule,
                decision.arm and (decision.experiment, decision.arm, decision.shadow_deployment),
            ),
        )
        if not is_explained:
            return own + chosen
        struck = explain.struck_key(decision)
        choice = None if struck is None else (struck, decision.deployment, decision.request.allow_fallback)
        return b"".join(
            (
                own,
                chosen,
                self._openings.of(decision, explain.opening_key(decision)),
                self._choices.of(decision, choice),
                self._closings.of(decision, explain.closing_key(decision)),
            )
        )

    def _chosen_and_read(self, decision: Decision) -> bytes:
        """What was chosen, for what kind of query, and by which way to choose."""
        deployment = self._table.deployments[decision.deployment]
        model, spec = deployment.model, deployment.spec
        return types_pb.Decision(
            tier=model.tier,
            model=model.name,
            deployment=spec.name,
            provider=spec.provider,
            compliance_score=model.compliance,
            complexity=decision.complexity.value,  # type: ignore[arg-type]  # open enums are ints
            domain=decision.domain,
            label=label(decision.label),  # type: ignore[arg-type]
            cost_quality=decision.cost_quality,
            strategy=decision.strategy,
            rule=decision.rule,
            experiment=decision.experiment,
            arm=decision.arm,
            shadow_model=_shadow_model(self._table, decision),
        ).SerializeToString()

    def _choice(self, decision: Decision) -> bytes:
        """What may follow, and what was left out."""
        chain = types_pb.Decision(fallback_chain=decision.fallback_models).SerializeToString()
        return chain + _explained(explain.struck(decision))


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


def _own(decision: Decision, decision_id: str) -> bytes:
    """The name and the numbers of a decision. Packed by hand: making a message of them costs as much as deciding did."""
    cost_usd = decision.estimated_cost_picousd * PICO
    named = _NAMED.pack(_ID_TAG, len(decision_id), decision_id.encode(), _COST_TAG, cost_usd)
    if decision.confidence is None:
        return named
    return named + _JUDGED.pack(
        *(_CONFIDENCE_TAG, decision.confidence),
        *(_QUALITY_TAG, decision.expected_quality),
        *(_DIFFICULTY_TAG, decision.difficulty),
    )


def _shadow_model(table: Table, decision: Decision) -> str:
    shadow = decision.shadow_deployment
    return table.deployments[shadow].model.name if shadow >= 0 else ""


def label(name: str) -> int:
    """The contract's number for a label of the core; 0 for none."""
    return _LABELS[name] if name else 0


def _explained(reasons: Iterable[Reason]) -> bytes:
    message = types_pb.Decision()
    for code, subject, detail in reasons:
        message.reasons.add(code=code, subject=subject, detail=detail)
    return message.SerializeToString()


def route_response(decision: bytes, constitution_hash: str, request_id: str) -> bytes:
    """A serialised `RouteResponse` around a serialised decision, which is not parsed again for it."""
    rest = router_pb.RouteResponse(constitution_hash=constitution_hash, request_id=request_id).SerializeToString()
    return b"".join((_DECISION_TAG, _length(len(decision)), decision, rest))


def batch_decision(decision: bytes, request_id: str) -> bytes:
    """A serialised `RouteBatchResponse` of one result, around a serialised decision; many in a row are a batch of all of them."""
    name = request_id.encode()
    size, name_size = _length(len(decision)), _length(len(name))
    result_bytes = 2 + len(size) + len(decision) + len(name_size) + len(name)  # the two tags are a byte each
    # In one go: a batch joins a thousand of these.
    return b"".join(
        (_RESULT_TAG, _length(result_bytes), _DECISION_TAG, size, decision, _RESULT_ID_TAG, name_size, name)
    )


def batch_error(error: router_pb.RouteError, request_id: str) -> bytes:
    """The same for a query that was not decided."""
    result = router_pb.RouteResult(error=error, request_id=request_id)
    return router_pb.RouteBatchResponse(results=[result]).SerializeToString()


def event_message(
    decisions: DecisionEncoder, event: Event, *, decision_id: str, request_id: str, constitution_hash: str
) -> router_pb.StreamResponse:
    """One event of a stream."""
    match event:
        case Delta(chunk):
            delta = router_pb.StreamDelta(text=chunk.text, token_count=chunk.token_count)
            if chunk.logprobs:
                delta.logprobs.extend(logprob_messages(chunk.logprobs))
            if chunk.tool_calls:
                delta.tool_calls.extend(tool_call_messages(chunk.tool_calls))
            return router_pb.StreamResponse(delta=delta)
        case Started(decision):
            started = router_pb.StreamStarted(constitution_hash=constitution_hash, request_id=request_id)
            started.decision.MergeFromString(decisions.encode(decision, decision_id))
            return router_pb.StreamResponse(started=started)
        case Tried(attempt):
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
                    confidence=event.confidence,
                    cached=event.is_cached,
                )
            )


def attempt_message(attempt: Attempt) -> types_pb.Attempt:
    """One try at an answer."""
    return types_pb.Attempt(
        model=attempt.model,
        deployment=attempt.deployment,
        outcome=int(attempt.outcome),  # type: ignore[arg-type]  # open enums are ints
        reason=attempt.reason,
        text_characters=attempt.text_characters,
        cost_usd=attempt.cost_picousd * PICO,
    )


def usage_message(usage: Usage) -> types_pb.Usage:
    """Tokens of one answer."""
    return types_pb.Usage(
        input_tokens=usage.input_tokens,
        cached_input_tokens=usage.cached_input_tokens,
        output_tokens=usage.output_tokens,
        reasoning_tokens=usage.reasoning_tokens,
    )


def timings_message(timings: Timings) -> types_pb.Timings:
    """Where the time went."""
    return types_pb.Timings(
        decision_time=duration(timings.decision_s),
        time_to_first_token=duration(timings.first_token_s),
        total_time=duration(timings.total_s),
        hold_time=duration(timings.hold_s) if timings.hold_s else None,
    )


def logprob_messages(logprobs: Iterable[TokenLogprob]) -> Iterable[types_pb.TokenLogprob]:
    """Log-probabilities, token by token."""
    for entry in logprobs:
        top = [types_pb.TopLogprob(token=token, logprob=logprob) for token, logprob in entry.top]
        yield types_pb.TokenLogprob(token=entry.token, logprob=entry.logprob, top=top)


def tool_call_messages(calls: Iterable[ToolCall]) -> Iterable[types_pb.ToolCall]:
    """What the model called."""
    return (types_pb.ToolCall(id=call.id, name=call.name, arguments=call.arguments) for call in calls)


def duration(seconds: float) -> Duration:
    """A protobuf Duration."""
    nanoseconds = round(seconds * 1e9)
    return Duration(seconds=nanoseconds // 1_000_000_000, nanos=nanoseconds % 1_000_000_000)
