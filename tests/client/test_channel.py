import json

from tierway.v1 import router_service_pb2 as rpc
from tierway_client._channel import call_metadata, channel_options, service_config


def methods(entry) -> set[str]:
    return {name["method"] for name in entry["name"]}


def test_grpc_repeats_only_calls_that_change_nothing() -> None:
    repeatable, generating = json.loads(service_config(max_attempts=3, wait_for_ready=False))["methodConfig"]
    assert methods(repeatable) == {"Route", "Explain", "RouteBatch", "ListModels", "GetStats"}
    assert repeatable["retryPolicy"]["retryableStatusCodes"] == ["UNAVAILABLE"]
    assert repeatable["retryPolicy"]["maxAttempts"] == 3
    assert methods(generating) == {"Execute", "Stream"}
    assert "retryPolicy" not in generating


def test_every_method_of_the_service_has_its_entry() -> None:
    service = rpc.DESCRIPTOR.services_by_name["RouterService"]
    config = json.loads(service_config(max_attempts=3, wait_for_ready=True))
    assert set().union(*map(methods, config["methodConfig"])) == {method.name for method in service.methods}
    assert {name["service"] for entry in config["methodConfig"] for name in entry["name"]} == {service.full_name}
    assert all(entry["waitForReady"] for entry in config["methodConfig"])


def test_attempts_stay_in_what_grpc_takes() -> None:
    def policy(max_attempts: int) -> object:
        return json.loads(service_config(max_attempts=max_attempts, wait_for_ready=False))["methodConfig"][0].get(
            "retryPolicy"
        )

    assert policy(1) is None
    assert policy(9)["maxAttempts"] == 5


def test_channel_pings_no_more_than_servers_bear_and_bounds_messages() -> None:
    options = dict(channel_options(max_attempts=3, wait_for_ready=False))
    assert options["grpc.keepalive_time_ms"] >= 10_000
    assert options["grpc.max_receive_message_length"] == options["grpc.max_send_message_length"] == 16 * 1024 * 1024
    assert "round_robin" in options["grpc.service_config"]


def test_tenant_is_sent_only_when_stated() -> None:
    assert call_metadata(tenant="", metadata=[("a", "b")]) == (("a", "b"),)
    assert call_metadata(tenant="acme", metadata=[("a", "b")]) == (("tierway-tenant", "acme"), ("a", "b"))
