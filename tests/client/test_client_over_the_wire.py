"""The synchronous client against a real server: what virtual time and a fake channel cannot show."""

from collections.abc import Callable, Iterator

import pytest

from tests.client.scripted_router import ANSWER, STARTED, Hang, ScriptedRouter, delta, queue_full, serving_in_thread
from tierway_client import Client, DeadlineExceededError, ResourceExhaustedError, UnavailableError


@pytest.fixture
def router() -> ScriptedRouter:
    return ScriptedRouter()


@pytest.fixture
def target(router: ScriptedRouter) -> Iterator[str]:
    with serving_in_thread(router) as address:
        yield address


@pytest.fixture
def client(target: str) -> Iterator[Client]:
    with Client(target, tenant="acme", timeout_s=30) as opened:
        yield opened


def test_server_that_is_not_there_is_unavailable_without_a_reason() -> None:
    with serving_in_thread(ScriptedRouter()) as gone:
        pass
    with Client(gone) as client, pytest.raises(UnavailableError) as raised:
        list(client.stream("hi"))
    assert raised.value.reason == ""


def test_deadline_cancels_the_handler(client: Client, router: ScriptedRouter) -> None:
    hang = Hang()
    router.script("Execute", hang)
    with pytest.raises(DeadlineExceededError):
        client.execute("hi", timeout_s=2)
    assert hang.ended.wait(20)


def test_message_beyond_the_size_limit_never_leaves(client: Client, router: ScriptedRouter) -> None:
    with pytest.raises(ResourceExhaustedError):
        client.route("x" * (17 * 1024 * 1024))
    assert router.calls == []


def test_full_queue_twice_then_the_answer(client: Client, router: ScriptedRouter) -> None:
    router.script("Execute", queue_full(), queue_full())
    assert client.execute("hi").text == ANSWER.text
    assert len(router.requests("Execute")) == 3
    assert router.calls[-1].metadata["tierway-tenant"] == "acme"


def test_stream_text(client: Client) -> None:
    assert "".join(client.stream("hi").text()) == ANSWER.text


def leave_block(client: Client) -> None:
    with client.stream("hi") as stream:
        next(stream)


def drop(client: Client) -> None:
    for _ in client.stream("hi"):
        break


def close_client(client: Client) -> None:
    next(client.stream("hi"))
    client.close()


@pytest.mark.parametrize("leave", [leave_block, drop, close_client])
def test_early_exit_cancels_the_servers_handler(
    client: Client, router: ScriptedRouter, leave: Callable[[Client], None]
) -> None:
    hang = Hang(first=[STARTED, delta("a")])
    router.script("Stream", hang)
    leave(client)
    assert hang.ended.wait(20)
