"""The operators' client, over the wire."""

from collections.abc import Iterator
from datetime import UTC, datetime

import grpc
import pytest

from tests.client.scripted_router import Hang, ScriptedRouter, refuse, serving_in_thread
from tierway.v1 import admin_service_pb2 as pb
from tierway_client import AdminClient, BreakerSetting, BreakerState, DeadlineExceededError, NotFoundError


@pytest.fixture
def router() -> ScriptedRouter:
    return ScriptedRouter()


@pytest.fixture
def client(router: ScriptedRouter) -> Iterator[AdminClient]:
    with serving_in_thread(router) as target, AdminClient(target) as client:
        yield client


def test_reset_tells_from_when_is_counted(client: AdminClient) -> None:
    assert client.reset_stats() == datetime.fromtimestamp(1_700_000_000, UTC)


@pytest.mark.parametrize(
    ("setting", "state", "forced"),
    [
        (BreakerSetting.OPEN, BreakerState.OPEN, True),
        (BreakerSetting.CLOSED, BreakerState.CLOSED, True),
        (BreakerSetting.AUTOMATIC, BreakerState.CLOSED, False),
    ],
)
def test_a_breaker_is_set_and_tells_how_it_stands(
    client: AdminClient, router: ScriptedRouter, setting: BreakerSetting, state: BreakerState, forced: bool
) -> None:
    standing = client.set_breaker("m@x", setting)
    assert (standing.deployment, standing.breaker, standing.breaker_forced) == ("m@x", state, forced)
    assert router.requests("SetBreaker") == [pb.SetBreakerRequest(deployment="m@x", setting=setting.value)]


def test_a_refusal_is_an_error_of_the_tree(client: AdminClient, router: ScriptedRouter) -> None:
    router.script("SetBreaker", refuse(grpc.StatusCode.NOT_FOUND, "no such", reason="DEPLOYMENT_NOT_FOUND"))
    with pytest.raises(NotFoundError, match="no such") as caught:
        client.set_breaker("m@x", BreakerSetting.OPEN)
    assert caught.value.reason == "DEPLOYMENT_NOT_FOUND"


def test_every_call_has_a_deadline(router: ScriptedRouter) -> None:
    router.script("ResetStats", Hang())
    with (
        serving_in_thread(router) as target,
        AdminClient(target, timeout_s=0.1) as client,
        pytest.raises(DeadlineExceededError),
    ):
        client.reset_stats()
