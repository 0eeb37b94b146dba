"""Nothing is accepted and ignored: every field of every request changes the outcome, or is refused.

What only says how an answer is got changes no decision; what it does to answers is proved where it is done, here that it gets there. The
fields are read from the descriptors, so that a new one fails here until someone has proved what it does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct

from tests.server.asking import COMPLEX, TRIVIAL
from tests.server.refusal import refusal_of
from tests.server.running import RunningServer
from tierway.v1 import router_service_pb2 as rpc
from tierway.v1 import types_pb2 as pb
from tierway_server.rpc.router_service import RouterService

pytestmark = pytest.mark.asyncio(loop_scope="module")

Fields = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """Two requests that differ in one field, and come out differently."""

    before: Fields = field(default_factory=dict)
    after: Fields
    refused_as: str = ""
    """The ErrorInfo reason that `after` must be refused with; empty: it has to be served."""
    is_idle: bool = False
    """Whether they come out alike after all: the field is nothing to what is only decided."""


def _schema(**more: Any) -> Struct:
    schema = Struct()
    schema.update({"type": "object", **more})
    return schema


def _messages(*turns: Fields) -> Fields:
    return {"query": {"messages": list(turns)}}


def _turn(role: pb.Role, *parts: Fields) -> Fields:
    return {"role": role, "parts": list(parts)}


def _image(**image: Any) -> Fields:
    return _messages(_turn(pb.ROLE_USER, {"text": TRIVIAL}, {"image": image}))


def _preferring(**preferences: Any) -> Proof:
    return Proof(after={"preferences": preferences})


def _sampling(**sampling: Any) -> Proof:
    return Proof(after={"sampling": sampling})


def _tool(choice: Fields | None = None, **changes: Any) -> Fields:
    """A query with one tool."""
    tool = {"name": "f", "description": "g", "parameters": _schema(), **changes}
    return {"query": {"prompt": TRIVIAL, "tools": [tool], **({"tool_choice": choice} if choice else {})}}


def _called(tool_call_id: str = "c", **changes: Any) -> Fields:
    """A conversation in which a tool was called."""
    return _messages(
        _turn(pb.ROLE_USER, {"text": TRIVIAL}),
        {"role": pb.ROLE_ASSISTANT, "tool_calls": [{"id": "c", "name": "f", "arguments": "{}", **changes}]},
        {**_turn(pb.ROLE_TOOL, {"text": "7"}), "tool_call_id": tool_call_id},
    )


_TURN = _messages(_turn(pb.ROLE_USER, {"text": COMPLEX}), _turn(pb.ROLE_USER, {"text": TRIVIAL}))
_DEMANDING: Fields = {"query": {"prompt": COMPLEX}}

# What Route, Execute and Stream share.
QUERY_PROOFS: dict[str, Proof] = {
    "query.prompt": Proof(after=_DEMANDING),
    "query.messages[].role": Proof(
        before=_TURN, after=_messages(_turn(pb.ROLE_SYSTEM, {"text": COMPLEX}), _turn(pb.ROLE_USER, {"text": TRIVIAL}))
    ),
    "query.messages[].parts[].text": Proof(
        before=_messages(_turn(pb.ROLE_USER, {"text": TRIVIAL})),
        after=_messages(_turn(pb.ROLE_USER, {"text": COMPLEX})),
    ),
    "query.messages[].parts[].image.data": Proof(
        before=_messages(_turn(pb.ROLE_USER, {"text": TRIVIAL})), after=_image(data=b"\x89PNG", mime_type="image/png")
    ),
    "query.messages[].parts[].image.uri": Proof(
        before=_messages(_turn(pb.ROLE_USER, {"text": TRIVIAL})), after=_image(uri="https://a.example/b.png")
    ),
    "query.messages[].parts[].image.mime_type": Proof(
        before=_image(data=b"\x89PNG", mime_type="image/png"),
        after=_image(data=b"\x89PNG", mime_type="text/html"),
        refused_as="INVALID_FIELD",
    ),
    # What is called has its result: neither changes alone. test_execute.py shows that models are told of both.
    "query.messages[].tool_calls[].id": Proof(
        before=_called(), after=_called(id="d" * 129), refused_as="INVALID_FIELD"
    ),
    "query.messages[].tool_call_id": Proof(before=_called(), after=_called("d"), refused_as="INVALID_FIELD"),
    "query.messages[].tool_calls[].name": Proof(before=_called(), after=_called(name="f" * 40)),
    "query.messages[].tool_calls[].arguments": Proof(
        before=_called(), after=_called(arguments='{"of": "a word or two"}')
    ),
    "query.tools[].name": Proof(before=_tool(), after=_tool(name="f" * 40)),
    "query.tools[].description": Proof(before=_tool(), after=_tool(description=COMPLEX)),
    "query.tools[].parameters": Proof(before=_tool(), after=_tool(parameters=_schema(title=COMPLEX))),
    "query.tool_choice.mode": Proof(before=_tool(), after=_tool({"mode": pb.TOOL_MODE_REQUIRED})),
    "query.tool_choice.name": Proof(before=_tool(), after=_tool({"name": "f"})),
    "query.tool_choice.parallel": Proof(
        before=_tool({"mode": pb.TOOL_MODE_AUTO}), after=_tool({"mode": pb.TOOL_MODE_AUTO, "parallel": False})
    ),
    "query.response_format.json_object": Proof(
        after={"query": {"prompt": TRIVIAL, "response_format": {"json_object": {}}}}
    ),
    "query.response_format.json_schema": Proof(
        after={"query": {"prompt": TRIVIAL, "response_format": {"json_schema": _schema()}}}
    ),
    "preferences.agent": _preferring(agent="security_agent"),
    "preferences.task_type": _preferring(task_type="contracts"),
    "preferences.force_model": _preferring(force_model="expert"),
    "preferences.min_tier": _preferring(min_tier=2),
    "preferences.max_tier": _preferring(max_tier=2),
    "preferences.max_cost_usd": Proof(before=_DEMANDING, after={**_DEMANDING, "preferences": {"max_cost_usd": 0.0005}}),
    "preferences.latency_budget": Proof(
        before=_DEMANDING, after={**_DEMANDING, "preferences": {"latency_budget": Duration(nanos=150_000_000)}}
    ),
    "preferences.min_compliance": _preferring(min_compliance=0.9),
    # Where there is a classifier to turn it, test_learned_routing.py turns it.
    "preferences.cost_quality": Proof(after={"preferences": {"cost_quality": 0.5}}, refused_as="CLASSIFIER_OFF"),
    "preferences.allow_fallback": _preferring(allow_fallback=False),
    "preferences.allow_escalation": _preferring(allow_escalation=True),
    "preferences.allow_takeover": _preferring(allow_takeover=False),
    "preferences.allow_hedging": _preferring(allow_hedging=True),
    "preferences.max_cache_age": _preferring(max_cache_age=Duration(seconds=60)),
    "preferences.priority": _preferring(priority=pb.PRIORITY_BATCH),
    "preferences.expected_constitution_hash": Proof(
        after={"preferences": {"expected_constitution_hash": "0" * 16}}, refused_as="CONSTITUTION_MISMATCH"
    ),
    "preferences.strategy": _preferring(strategy="weighted"),
    "preferences.regions[]": Proof(after={"preferences": {"regions": ["eu"]}}, refused_as="NO_CANDIDATE"),
    # Where there is an experiment, test_steering.py shows what keeps its arms apart.
    "preferences.sticky_key": Proof(after={"preferences": {"sticky_key": "k" * 129}}, refused_as="INVALID_FIELD"),
    "sampling.temperature": _sampling(temperature=0.0),
    "sampling.top_p": _sampling(top_p=0.5),
    "sampling.top_k": _sampling(top_k=40),
    "sampling.max_tokens": _sampling(max_tokens=7),
    "sampling.stop[]": _sampling(stop=["END"]),
    "sampling.seed": _sampling(seed=0),
    "sampling.presence_penalty": _sampling(presence_penalty=0.5),
    "sampling.frequency_penalty": _sampling(frequency_penalty=0.5),
    "sampling.top_logprobs": _sampling(top_logprobs=0),
    "request_id": Proof(after={"request_id": "after"}),
}

# How tokens are sampled and how the answer is got is nothing to a decision: there these are checked, as the contract says.
_CHECKED: dict[str, Fields] = {
    "query.tool_choice.mode": _tool({"mode": 17}),
    "query.tool_choice.name": _tool({"name": "g"}),
    "preferences.max_cache_age": {"preferences": {"max_cache_age": Duration(seconds=-1)}},
    "preferences.priority": {"preferences": {"priority": 17}},
    "sampling.temperature": {"sampling": {"temperature": 3.0}},
    "sampling.top_p": {"sampling": {"top_p": 2.0}},
    "sampling.top_k": {"sampling": {"top_k": -1}},
    "sampling.stop[]": {"sampling": {"stop": [""]}},
    "sampling.seed": {"sampling": {"seed": -1}},
    "sampling.presence_penalty": {"sampling": {"presence_penalty": 3.0}},
    "sampling.frequency_penalty": {"sampling": {"frequency_penalty": 3.0}},
}
# Of a truth value there is nothing to check.
_IDLE = (
    "query.tool_choice.parallel",
    "preferences.allow_escalation",
    "preferences.allow_takeover",
    "preferences.allow_hedging",
)
ROUTE_PROOFS = (
    QUERY_PROOFS
    | {path: Proof(after=bad, refused_as="INVALID_FIELD") for path, bad in _CHECKED.items()}
    | {path: replace(QUERY_PROOFS[path], is_idle=True) for path in _IDLE}
)


def _in_batch(proof: Proof) -> Proof:
    before, after = (
        {"requests": [_complete(fields)], "include_reasons": True} for fields in (proof.before, proof.after)
    )
    return replace(proof, before=before, after=after)


def _complete(fields: Fields) -> Fields:
    return {"query": {"prompt": TRIVIAL}, "request_id": "before", **fields}


PROOFS: dict[str, dict[str, Proof]] = {
    "Route": ROUTE_PROOFS,
    "Explain": ROUTE_PROOFS | {"max_features": Proof(after={"max_features": 101}, refused_as="INVALID_FIELD")},
    "Execute": QUERY_PROOFS,
    "Stream": QUERY_PROOFS,
    "RouteBatch": {
        **{f"requests[].{path}": _in_batch(proof) for path, proof in ROUTE_PROOFS.items()},
        "include_reasons": Proof(
            before={"requests": [_complete({})]}, after={"requests": [_complete({})], "include_reasons": True}
        ),
    },
    "ListModels": {
        "page_size": Proof(after={"page_size": 2}),
        "page_token": Proof(after={"page_token": "?"}, refused_as="INVALID_FIELD"),
    },
    "GetStats": {},
}


def leaves(descriptor: Any, prefix: str = "") -> Iterator[str]:
    """The paths of all fields below a message that hold a value themselves."""
    for each in descriptor.fields:
        path = f"{prefix}{each.name}" + ("[]" if each.is_repeated else "")
        below = each.message_type
        is_value = below is None or below.full_name.startswith("google.protobuf.") or not below.fields
        if is_value:
            yield path
        else:
            yield from leaves(below, f"{path}.")


def request_type(method: str) -> type[Message]:
    kind: type[Message] = getattr(rpc, f"{method}Request")
    return kind


@pytest.mark.parametrize("method", [method.name for method in rpc.DESCRIPTOR.services_by_name["RouterService"].methods])
async def test_every_field_has_a_proof_and_every_proof_a_field(method: str) -> None:
    assert sorted(leaves(request_type(method).DESCRIPTOR)) == sorted(PROOFS[method])


@pytest.fixture(scope="module")
def jobs() -> Iterator[list[Any]]:
    """What answers are got by, in order."""
    seen: list[Any] = []
    make = RouterService._job

    def record(self: RouterService, *args: Any) -> Any:
        seen.append(make(self, *args))
        return seen[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RouterService, "_job", record)
        yield seen


@pytest.mark.parametrize(("method", "path"), [(method, path) for method, proofs in PROOFS.items() for path in proofs])
async def test_the_field_changes_the_outcome_or_is_refused(
    shared_server: RunningServer, jobs: list[Any], method: str, path: str
) -> None:
    proof = PROOFS[method][path]
    before, after = proof.before, proof.after
    if method in ("Route", "Explain", "Execute", "Stream"):
        before, after = _complete(before), _complete(after)
    kind = request_type(method)
    was = await outcome(shared_server, jobs, method, kind(**before))
    assert was == await outcome(shared_server, jobs, method, kind(**before))
    assert not isinstance(was, Refused)
    now = await outcome(shared_server, jobs, method, kind(**after))
    assert (now == was) is proof.is_idle
    assert (now.reason if isinstance(now, Refused) else "") == proof.refused_as
    if isinstance(now, Refused) and method != "ListModels":
        # What was refused is at the field, or what holds it.
        assert now.field
        assert path.removeprefix("requests[].").replace("[]", "").startswith(re.sub(r"\[\d+\]", "", now.field))
    await shared_server.until_idle()


@dataclass(frozen=True, slots=True)
class Refused:
    """How a request failed."""

    reason: str
    field: str


async def outcome(server: RunningServer, jobs: list[Any], method: str, request: Message) -> object:
    """All that a request brings about, without what differs each time."""
    jobs.clear()
    started = {name: len(engine.started) for name, engine in server.launcher.engines.items()}
    call = getattr(server.router, method)(request)
    try:
        replies = [event async for event in call] if method == "Stream" else [await call]
    except grpc.aio.AioRpcError as error:
        refusal = refusal_of(error)
        return Refused(refusal.reason, refusal.field)
    generations = [
        replace(generation, id="")
        for name, engine in server.launcher.engines.items()
        for generation in engine.started[started[name] :]
    ]
    if method == "RouteBatch" and replies[0].results[0].HasField("error"):
        failed = replies[0].results[0].error
        return Refused(failed.reason, failed.field)
    for reply in replies:
        _forget(reply)
    got_by = [(job.allow_takeover, job.hedges, job.escalates, job.max_cache_age_s, job.priority) for job in jobs]
    return [*map(str, replies), *map(str, generations), *got_by]


def _forget(message: Message) -> None:
    """Clear what no two calls have in common: ids that we make, and durations."""
    for descriptor, value in message.ListFields():
        if descriptor.name in ("decision_id", "timings"):
            message.ClearField(descriptor.name)
        elif descriptor.message_type is not None:
            for each in value if descriptor.is_repeated else [value]:
                _forget(each)
