"""`tierway admin` against a scripted server."""

import json

import grpc
import pytest

from tests.client.scripted_router import refuse
from tierway.v1 import admin_service_pb2 as pb


@pytest.fixture
def administer(run, target):
    """Runs a subcommand of `tierway admin` against the scripted server."""
    return lambda *arguments: run("admin", *arguments, env={"TIERWAY_ADMIN_TARGET": target})


def test_reset_stats_says_from_when_is_counted(administer, router) -> None:
    result = administer("reset-stats")
    assert (result.exit_code, result.stdout) == (0, "counting since 2023-11-14 22:13:20 UTC\n")
    assert [call.method for call in router.calls] == ["ResetStats"]


def test_reset_stats_as_json(administer) -> None:
    shown = json.loads(administer("reset-stats", "--json").stdout)
    assert shown == {"count_start_time": "2023-11-14T22:13:20+00:00"}


@pytest.mark.parametrize(
    ("setting", "sent", "shown"),
    [
        ("open", pb.BREAKER_SETTING_OPEN, "open, held"),
        ("closed", pb.BREAKER_SETTING_CLOSED, "closed, held"),
        ("automatic", pb.BREAKER_SETTING_AUTOMATIC, "closed"),
    ],
)
def test_breaker_is_set_and_shown(administer, router, setting, sent, shown) -> None:
    result = administer("breaker", "m@x", setting)
    assert (result.exit_code, result.stdout) == (0, f"m@x: {shown}\n")
    assert router.requests("SetBreaker") == [pb.SetBreakerRequest(deployment="m@x", setting=sent)]


def test_breaker_as_json_is_how_the_deployment_stands(administer) -> None:
    shown = json.loads(administer("breaker", "m@x", "open", "--json").stdout)
    assert (shown["deployment"], shown["breaker"], shown["breaker_forced"]) == ("m@x", "OPEN", True)


def test_a_deployment_that_is_not_there_is_one_line(administer, router) -> None:
    router.script("SetBreaker", refuse(grpc.StatusCode.NOT_FOUND, "no such", reason="DEPLOYMENT_NOT_FOUND"))
    result = administer("breaker", "m@x", "open")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "Error: DEPLOYMENT_NOT_FOUND: no such (request r-1)\n"


@pytest.mark.parametrize("arguments", [("breaker", "m@x"), ("breaker", "m@x", "ajar"), ("reset",)], ids=" ".join)
def test_wrong_usage_exits_with_2_and_calls_nobody(administer, router, arguments) -> None:
    assert administer(*arguments).exit_code == 2
    assert router.calls == []
