"""`tierway.v1.RouterService`: decode, decide, answer, encode. What surrounds each call is `pipeline.py`'s, what it means is `flow`'s."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

import grpc

from tierway.v1 import router_service_pb2 as pb
from tierway_core import Decision, Table
from tierway_server.errors import InternalError, InvalidRequestError, TierwayError
from tierway_server.flow.decide import Decider
from tierway_server.flow.drain import Drain
from tierway_server.flow.escalation import Answering
from tierway_server.flow.events import Delta, Event, Finished, Started
from tierway_server.flow.ids import uuid7
from tierway_server.flow.job import Job
from tierway_server.flow.shown import Shown
from tierway_server.rpc import encode, pipeline
from tierway_server.rpc.call import Call, check_request_id
from tierway_server.rpc.decode import Asked, asked, judged, parse
from tierway_server.rpc.explain import explanation, features_wanted
from tierway_server.rpc.fleet import Fleet
from tierway_server.rpc.prefix import next_prefix_key
from tierway_server.rpc.status import code_of
from tierway_server.telemetry import semconv
from tierway_server.telemetry.metrics import Metrics

logger = logging.getLogger(__name__)

NAME = pb.DESCRIPTOR.services_by_name["RouterService"].full_name


_BATCH_TURN = 64
"""Queries of a batch that are decided in one go: about a millisecond, in which no other call moves and no token goes out."""


class RouterService:
    """The servicer. Lives on the event loop."""

    def __init__(
        self,
        *,
        table: Table,
        decider: Decider,
        answerer: Answering,
        fleet: Fleet,
        drain: Drain,
        metrics: Metrics,
        prompt_bytes: int,
        batch_requests: int,
        default_max_tokens: int,
        default_deadline_s: float,
        max_deadline_s: float,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._decisions = encode.DecisionEncoder(table)
        self._decider = decider
        self._answerer = answerer
        self._fleet = fleet
        self._drain = drain
        self._metrics = metrics
        self._prompt_bytes = prompt_bytes
        self._batch_requests = batch_requests
        self._default_max_tokens = default_max_tokens
        self._default_deadline_s = default_deadline_s
        self._max_deadline_s = max_deadline_s
        self._clock = clock
        self._constitution_hash = decider.constitution_hash

    def handlers(self) -> grpc.GenericRpcHandler:
        """Every method, wrapped in its interceptors."""
        answering = (pipeline.drained(self._drain), pipeline.deadline(self._default_deadline_s, self._max_deadline_s))
        methods = {
            "Route": self._handler("Route", self.route),
            "Explain": self._handler("Explain", self.explain),
            "RouteBatch": self._handler("RouteBatch", self.route_batch),
            "Execute": self._handler("Execute", self.execute, *answering),
            "Stream": self._handler("Stream", self.stream, *answering, streams=True),
            "ListModels": self._handler("ListModels", self.list_models),
            "GetStats": self._handler("GetStats", self.get_stats),
        }
        return grpc.method_handlers_generic_handler(NAME, methods)

    async def route(self, data: bytes, call: Call) -> bytes:
        """Decide only. Awaits nothing: no deadline can pass."""
        request = parse(pb.RouteRequest, data)
        call.identify(request.request_id)
        core, expected_constitution_hash = judged(request, len(data), self._prompt_bytes, call.tenant)
        decision = self._decider.decide(core, expected_constitution_hash)
        return encode.route_response(
            self._decisions.encode(decision, uuid7()), self._constitution_hash, call.request_id
        )

    async def explain(self, data: bytes, call: Call) -> bytes:
        """Decide, and lay the decision open."""
        request = parse(pb.ExplainRequest, data)
        call.identify(request.request_id)
        most_features = features_wanted(request)
        core, expected_constitution_hash = judged(request, len(data), self._prompt_bytes, call.tenant)
        decision = self._decider.consider(core, expected_constitution_hash)
        # Beside the loop: nobody's decision waits for an explanation.
        reply = await asyncio.to_thread(explanation, decision, most_features)
        reply.decision.MergeFromString(self._decisions.encode(decision, uuid7()))
        reply.constitution_hash, reply.request_id = self._constitution_hash, call.request_id
        return reply.SerializeToString()

    async def route_batch(self, data: bytes, call: Call) -> bytes:
        """Decide for many; each fails alone. Others have their turn in between."""
        batch = parse(pb.RouteBatchRequest, data)
        call.identify("")
        if not 1 <= len(batch.requests) <= self._batch_requests:
            raise InvalidRequestError(f"1 to {self._batch_requests} requests", field="requests")
        is_explained, size_bytes = batch.include_reasons, len(data)
        reply = [pb.RouteBatchResponse(constitution_hash=self._constitution_hash).SerializeToString()]
        for place, request in enumerate(batch.requests):
            if place % _BATCH_TURN == 0:
                await asyncio.sleep(0)
            stated = request.request_id
            try:
                if stated:
                    check_request_id(stated)
                core, expected_constitution_hash = judged(request, size_bytes, self._prompt_bytes, call.tenant)
                decision = self._decider.decide(core, expected_constitution_hash)
                decision_id = uuid7()
                encoded = self._decisions.encode(decision, decision_id, is_explained=is_explained)
                reply.append(encode.batch_decision(encoded, stated or decision_id))
            except TierwayError as error:
                self._metrics.failed(error.reason)
                number: int = code_of(error).value[0]
                reply.append(
                    encode.batch_error(
                        pb.RouteError(code=number, reason=error.reason, message=error.message, field=error.field),
                        stated or uuid7(),
                    )
                )
        return b"".join(reply)

    async def execute(self, data: bytes, call: Call) -> bytes:
        """Decide and answer in one reply: the events of the answer, folded."""
        request = parse(pb.ExecuteRequest, data)
        call.identify(request.request_id)
        job = self._job(asked(request, len(data), self._prompt_bytes, call.tenant, call.remaining_s), call)
        reply = pb.ExecuteResponse(constitution_hash=self._constitution_hash, request_id=call.request_id)
        texts: list[str] = []
        async with aclosing(self._events(job, call)) as events:
            async for event in events:
                match event:
                    case Delta(chunk):
                        texts.append(chunk.text)
                        reply.logprobs.extend(encode.logprob_messages(chunk.logprobs))
                        reply.tool_calls.extend(encode.tool_call_messages(chunk.tool_calls))
                    case Started(decision):
                        reply.decision.MergeFromString(self._decisions.encode(decision, job.id))
                    case Finished():
                        reply.usage.CopyFrom(encode.usage_message(event.usage))
                        reply.cost_usd = event.cost_picousd * encode.PICO
                        reply.timings.CopyFrom(encode.timings_message(event.timings))
                        reply.finish_reason = int(event.finish_reason)  # type: ignore[assignment]  # open enums are ints
                        reply.attempts.extend(map(encode.attempt_message, event.attempts))
                        reply.cached = event.is_cached
                        if event.confidence is not None:
                            reply.confidence = event.confidence
                        reply.text = "".join(texts)
                        return reply.SerializeToString()
        raise InternalError("the answer ended without its account")

    async def stream(self, data: bytes, call: Call) -> bytes:
        """Decide and answer, event by event; the last one is returned."""
        request = parse(pb.StreamRequest, data)
        call.identify(request.request_id)
        wanted = asked(request, len(data), self._prompt_bytes, call.tenant, call.remaining_s)
        job = self._job(wanted, call, streams=True)
        async with aclosing(self._events(job, call)) as events:
            async for event in events:
                message = encode.event_message(
                    self._decisions,
                    event,
                    decision_id=job.id,
                    request_id=call.request_id,
                    constitution_hash=self._constitution_hash,
                ).SerializeToString()
                if isinstance(event, Finished):
                    return message
                await call.write(message)
        raise InternalError("the answer ended without its account")

    async def list_models(self, data: bytes, call: Call) -> bytes:
        """List the fleet, a page at a time."""
        return self._fleet.page(parse(pb.ListModelsRequest, data)).SerializeToString()

    async def get_stats(self, data: bytes, call: Call) -> bytes:
        """Tell what has been counted since the start."""
        parse(pb.GetStatsRequest, data)
        return (await self._fleet.stats()).SerializeToString()

    def _job(self, wanted: Asked, call: Call, *, streams: bool = False) -> Job:
        preferences = wanted.preferences
        decision = self._decider.decide(wanted.core, preferences.expected_constitution_hash)
        return Job(
            id=uuid7(),
            decision=decision,
            messages=wanted.messages,
            prefix_keys=(wanted.core.prefix_key, next_prefix_key(wanted.messages)),
            sampling=wanted.sampling,
            max_tokens=wanted.sampling.max_tokens or self._default_max_tokens,
            max_cost_picousd=preferences.max_cost_picousd,
            json_schema=wanted.json_schema,
            arrived_s=call.arrived_s,
            give_up_s=call.arrived_s + call.limit_s,
            decided_s=self._clock(),
            tools=wanted.tools,
            allow_takeover=preferences.allow_takeover,
            hedges=preferences.hedges,
            escalates=preferences.escalates,
            max_cache_age_s=preferences.max_cache_age_s,
            priority=preferences.priority or call.priority,
            streams=streams,
        )

    async def _events(self, job: Job, call: Call) -> AsyncGenerator[Event, None]:
        """The answer's events; the last one leaves its account in the log."""
        shown = Shown(job, self._metrics, self._clock)
        async with aclosing(self._answerer.answer(job)) as events:
            async for each in events:
                event = shown.passed(each)
                if isinstance(event, Finished):
                    # As soon as the answer is on its way: it need not wait for a line in the log.
                    asyncio.get_running_loop().call_soon(_log, job, call, event)
                yield event

    def _handler(
        self, method: str, handler: pipeline.Handler, *interceptors: pipeline.Interceptor, streams: bool = False
    ) -> grpc.RpcMethodHandler[bytes, bytes]:
        kind = "server_stream" if streams else "unary"
        return pipeline.method_handler(
            handler,
            pipeline.errors(self._metrics),
            pipeline.telemetry(self._metrics, kind, NAME, method, self._clock),
            *interceptors,
            trailers=((semconv.CONSTITUTION_KEY, self._constitution_hash),),
            clock=self._clock,
        )


def _log(job: Job, call: Call, answer: Finished) -> None:
    logger.info(
        "answered",
        extra={
            "request_id": call.request_id,
            "decision_id": job.id,
            "tenant": call.tenant,
            "deployment": answer.attempts[-1].deployment,
            **_steered(job.decision),
            "attempts": len(answer.attempts),
            "cached": answer.is_cached,
            "input_tokens": answer.usage.input_tokens,
            "output_tokens": answer.usage.output_tokens,
            "cost_usd": round(answer.cost_picousd * encode.PICO, 12),
            "total_s": round(answer.timings.total_s, 4),
        },
    )


def _steered(decision: Decision) -> dict[str, str]:
    """How a decision was steered, for the log: what an experiment is judged by later."""
    steered = {"strategy": decision.strategy, "rule": decision.rule}
    if decision.experiment:
        steered |= {"experiment": decision.experiment, "arm": decision.arm}
    if decision.shadow_deployment >= 0:
        steered["shadow_deployment"] = decision.table.deployments[decision.shadow_deployment].spec.name
    return {name: value for name, value in steered.items() if value}
