"""Logs account for what was done and never repeat what was said."""

import io
import json
import logging
from collections.abc import Iterator

import grpc
import pytest

from tests.server.asking import execute, route, stream, user
from tests.server.refusal import refused
from tests.server.running import RunningServer
from tierway.v1 import router_service_pb2 as rpc
from tierway.v1 import types_pb2 as pb
from tierway_server.errors import StreamBrokenError
from tierway_server.telemetry import logging as telemetry_logging

SAID, ANSWERED = "the-question-nobody-may-read", "the-answer-nobody-may-read"


def logged(caplog: pytest.LogCaptureFixture) -> str:
    """All that was logged, extras and tracebacks included."""
    formatter = logging.Formatter()
    return "\n".join(f"{formatter.format(record)} {record.__dict__}" for record in caplog.records)


async def test_neither_question_nor_answer_is_ever_logged(
    server: RunningServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "tierway_server")
    server.engine().script(ANSWERED)
    await server.router.Execute(execute(SAID))
    server.engine().script(ANSWERED, StreamBrokenError("gone"))
    with pytest.raises(grpc.aio.AioRpcError):
        await server.stream(stream(SAID, allow_takeover=False))
    server.engine().script(ANSWERED, StreamBrokenError("gone"))
    await server.stream(stream(SAID))
    server.engine().script(ANSWERED, ValueError("odd"))
    await refused(server.router.Execute(execute(SAID)))
    await refused(server.router.Execute(execute(SAID, min_tier=9)))
    query = pb.Query(messages=[user(SAID, pb.Part())])
    await refused(server.router.Route(rpc.RouteRequest(query=query)))
    await server.router.Execute(execute("Hi", sampling=pb.Sampling(stop=[SAID])))
    text = logged(caplog)
    assert "answered" in text
    assert "taken over" in text
    assert "unexpected error" in text
    assert SAID not in text
    assert ANSWERED not in text


async def test_an_answer_leaves_its_account(server: RunningServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tierway_server")
    reply = await server.router.Execute(execute(request_id="r-1"), metadata=(("tierway-tenant", "acme"),))
    [record] = [record for record in caplog.records if record.message == "answered"]
    account = record.__dict__
    assert (account["request_id"], account["tenant"], account["deployment"]) == ("r-1", "acme", "nano@nano")
    assert account["decision_id"] == reply.decision.decision_id
    assert (account["input_tokens"], account["output_tokens"]) == (11, 3)
    assert account["cost_usd"] == reply.cost_usd


async def test_a_fault_of_ours_is_logged_under_the_requests_id(
    server: RunningServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.engine().script(ValueError("odd"))
    await refused(server.router.Execute(execute(request_id="r-2")))
    [record] = [record for record in caplog.records if record.message == "unexpected error"]
    assert record.__dict__["request_id"] == "r-2"
    assert record.exc_info is not None


async def test_a_fault_of_the_client_is_not_logged(server: RunningServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.clear()
    await refused(server.router.Route(route("")))
    assert not caplog.records


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class TestFormat:
    @pytest.fixture(autouse=True)
    def _root_kept(self) -> Iterator[None]:
        root = logging.getLogger()
        handlers, level = root.handlers[:], root.level
        yield
        root.handlers[:] = handlers
        root.setLevel(level)

    def test_is_one_json_object_a_line(self, monkeypatch: pytest.MonkeyPatch) -> None:
        stderr = io.StringIO()
        monkeypatch.setattr("sys.stderr", stderr)
        telemetry_logging.configure("INFO")
        logger = logging.getLogger("tierway_server.test")
        logger.info("two\nlines", extra={"tokens": 3, "odd": object()})
        try:
            raise ValueError("odd")
        except ValueError:
            logger.exception("failed")
        logger.debug("too fine")
        first, second = map(json.loads, stderr.getvalue().splitlines())
        assert (first["level"], first["logger"], first["message"], first["tokens"]) == (
            "info",
            "tierway_server.test",
            "two\nlines",
            3,
        )
        assert first["time"].endswith("Z")
        assert (second["level"], "ValueError: odd" in second["exception"]) == ("error", True)

    def test_is_for_people_on_a_terminal(self, monkeypatch: pytest.MonkeyPatch) -> None:
        stderr = Terminal()
        monkeypatch.setattr("sys.stderr", stderr)
        telemetry_logging.configure("INFO")
        logging.getLogger("tierway_server.test").warning("careful", extra={"port": 1})
        [line] = stderr.getvalue().splitlines()
        assert "warning careful  port=1" in line
