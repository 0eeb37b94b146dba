"""What a person sees when it does not work: one line on stderr, and the exit code."""

import grpc
import pytest

from tests.client.scripted_router import STARTED, Hang, ScriptedRouter, delta, refuse, serving_in_thread

COMMANDS = [
    ("ask", "hi"),
    ("ask", "hi", "--json"),
    ("route", "hi"),
    ("explain", "hi"),
    ("models",),
    ("stats",),
    ("admin", "reset-stats"),
    ("admin", "breaker", "m@x", "open"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_server_that_is_not_there_is_named_with_a_hint(run, command) -> None:
    with serving_in_thread(ScriptedRouter()) as gone:
        pass
    result = run(*command, "--target", gone)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"Error: no server at {gone} (")
    assert "`tierway serve`" in result.stderr
    assert result.stderr.count("\n") == 1


def test_refused_field_is_one_line_of_reason_field_message_and_request(ask_server, router) -> None:
    details = {"reason": "INVALID_FIELD", "field_path": "sampling.temperature", "description": "must be 0 to 2"}
    router.script("Stream", refuse(grpc.StatusCode.INVALID_ARGUMENT, "must be 0 to 2", **details))
    result = ask_server("ask", "hi", "--temperature", "9")
    assert result.exit_code == 1
    assert result.stderr == "Error: INVALID_FIELD: sampling.temperature: must be 0 to 2 (request r-1)\n"


def test_no_answer_in_time_names_the_limit(ask_server, router) -> None:
    router.script("Execute", Hang())
    result = ask_server("ask", "hi", "--json", "--timeout", "0.2")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "no answer within 0.2 s" in result.stderr


def test_answer_that_is_cut_off_keeps_what_came_and_fails(ask_server, router) -> None:
    lost = refuse(grpc.StatusCode.INTERNAL, "the engine is gone", reason="ENGINE_LOST")
    router.script("Stream", [STARTED, delta("The capital"), lost])
    result = ask_server("ask", "hi")
    assert (result.exit_code, result.stdout) == (1, "The capital\n")
    assert result.stderr == "Error: ENGINE_LOST: the engine is gone (request r-1)\n"


def test_what_a_server_says_cannot_command_the_terminal(ask_server, router) -> None:
    router.script("Route", refuse(grpc.StatusCode.NOT_FOUND, "no \x1b[31mmodel\nx", reason="MODEL_UNKNOWN"))
    result = ask_server("route", "hi")
    assert result.stderr == "Error: MODEL_UNKNOWN: no [31mmodel x (request r-1)\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("ask",),
        ("ask", "hi", "--max-tokens", "many"),
        ("ask", "hi", "--timeout", "0"),
        ("answer", "hi"),
        ("route", "a", "b"),
    ],
    ids=" ".join,
)
def test_wrong_usage_exits_with_2(run, arguments) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Usage: tierway" in result.stderr


def test_standard_input_that_is_not_text_exits_with_2(ask_server, router) -> None:
    result = ask_server("ask", "-", input=b"\xff\xfe")
    assert result.exit_code == 2
    assert "not UTF-8" in result.stderr
    assert router.calls == []


def test_argument_that_is_not_text_is_refused_before_any_call(ask_server, router) -> None:
    result = ask_server("route", "\udcff")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: INVALID_FIELD: query: ")
    assert router.calls == []
