"""Models that are elsewhere, through a whole server: listed, routed to, asked, and accounted for."""

from __future__ import annotations

import grpc
import pytest

from tests.faults import openai_events as openai
from tests.faults.upstream import Asked, End, Reply, document, upstream
from tests.server.asking import execute, kinds_of, stream, text_of
from tests.server.refusal import refused
from tests.server.remote import ENVIRON, KEY, remote_fleet
from tests.server.running import until
from tierway.v1 import router_service_pb2 as rpc
from tierway.v1 import types_pb2 as pb


@pytest.fixture
async def provider():
    async with upstream(openai.good) as provider:
        yield provider


async def listed(server) -> pb.Deployment:
    """The only deployment, as it is listed."""
    reply = await server.router.ListModels(rpc.ListModelsRequest())
    return reply.models[0].deployments[0]


async def test_a_whole_answer_and_its_account(serve, provider):
    server = await serve(remote_fleet(f"{provider.base_url}/v1"), environ=ENVIRON)
    reply = await server.router.Execute(execute())
    assert reply.text == "Paris it is."
    assert reply.finish_reason == pb.FINISH_REASON_STOP
    assert (reply.usage.input_tokens, reply.usage.cached_input_tokens, reply.usage.output_tokens) == (11, 4, 3)
    assert reply.cost_usd == pytest.approx((7 * 1.0 + 4 * 0.5 + 3 * 2.0) / 1e6)
    assert reply.attempts[0].deployment == "nano@upstream"
    await server.until_idle()


async def test_a_streamed_answer(serve, provider):
    server = await serve(remote_fleet(f"{provider.base_url}/v1"), environ=ENVIRON)
    events = await server.stream(stream())
    assert kinds_of(events)[0] == "started"
    assert (text_of(events), kinds_of(events)[-1]) == ("Paris it is.", "finished")


async def test_a_caller_who_leaves_is_heard_of_at_the_provider(serve, provider):
    provider.answer = lambda _: Reply(steps=(openai.text("Paris"), End.HANG))
    server = await serve(remote_fleet(f"{provider.base_url}/v1"), environ=ENVIRON)
    call = server.router.Stream(stream())
    while (await call.read()).WhichOneof("event") != "delta":
        pass
    call.cancel()
    await until(lambda: provider.hung_up == 1 and provider.living == 0)
    await server.until_idle()


async def test_our_key_rejected_is_our_affair(serve, provider):
    provider.answer = lambda _: openai.error(401, "invalid_request_error", "invalid_api_key", message=f"Bad: {KEY}")
    server = await serve(remote_fleet(f"{provider.base_url}/v1"), environ=ENVIRON)
    refusal = await refused(server.router.Execute(execute()))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INTERNAL, "PROVIDER_AUTH")
    assert KEY not in str(refusal)


async def test_without_its_credential_a_deployment_is_listed_and_says_so(serve, provider):
    server = await serve(remote_fleet(f"{provider.base_url}/v1"), ready=False)
    deployment = await listed(server)
    assert (deployment.available, deployment.unavailable_reason) == (False, "no credential: UPSTREAM_KEY is not set")
    assert provider.count == 0


async def test_without_a_server_it_is_listed_and_says_so_and_answers_when_one_comes(serve, provider, monkeypatch):
    monkeypatch.setattr("tierway_server.backends.presence._FIRST_AGAIN_S", 0.01)
    provider.answer = lambda _: document({}, 503)
    server = await serve(remote_fleet(f"{provider.base_url}/v1", kind="llamacpp", api_key=None), ready=False)
    await until(lambda: server.process.remote.have_settled)
    deployment = await listed(server)
    assert not deployment.available
    assert deployment.unavailable_reason == f"no server: {provider.base_url}/v1 is not ready (503)"
    assert (await refused(server.router.Execute(execute()))).reason == "NO_DEPLOYMENT_AVAILABLE"

    def there(asked: Asked) -> Reply:
        return openai.good(asked) if asked.body else document({"data": []})

    provider.answer = there
    await until(lambda: server.process.deployments.is_ready)
    assert (await server.router.Execute(execute())).text == "Paris it is."


async def test_what_a_provider_lacks_routing_knows(serve, provider):
    fleet = remote_fleet(f"{provider.base_url}/v1", lacks=["seed"])
    server = await serve(fleet, environ=ENVIRON)
    refusal = await refused(server.router.Execute(execute(sampling=pb.Sampling(seed=7))))
    assert refusal.reason == "NO_CANDIDATE"
    assert provider.count == 0


async def test_more_answers_at_once_than_a_provider_may_have_are_refused(serve, provider):
    provider.answer = lambda _: Reply(steps=(openai.text("Paris"), End.HANG))
    fleet = remote_fleet(f"{provider.base_url}/v1", max_in_flight=1) | {"queue": {"size": 0}}
    server = await serve(fleet, environ=ENVIRON)
    call = server.router.Stream(stream())
    await until(lambda: provider.count == 1)
    assert (await refused(server.router.Execute(execute()))).reason == "QUEUE_FULL"
    call.cancel()
    await server.until_idle()
