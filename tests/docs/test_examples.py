"""What the documents tell a reader to type and to write works, against the default fleet on scripted engines."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.docs.documents import ROOT, Document, all_documents, document
from tests.docs.typing_along import Reader
from tests.server.running import serving, until
from tierway_cli.main import cli
from tierway_server.backends.base import Chunk, FinishReason, Role, ToolCall, Usage
from tierway_server.config import default_path, load

_MODEL = "smollm2-135m"


@pytest.fixture
async def reader(tmp_path: Path) -> AsyncIterator[Reader]:
    """A reader beside a server of the shipped default configuration."""
    ports = {f"server.{name}": "127.0.0.1:0" for name in ("listen", "admin_listen", "http_listen")}
    config = load(default_path(), overrides=ports, environ={})
    async with serving(config.model_dump(mode="json", exclude={"include"}), ready=False) as server:
        await until(lambda: server.process.deployments.is_ready)
        yield Reader(server, tmp_path)


def documents_with(language: str) -> list[pytest.param]:
    return [pytest.param(each, id=each.name) for each in all_documents() if each.blocks(language)]


@pytest.mark.parametrize("shown", documents_with("console"))
async def test_every_command_is_understood_and_those_that_need_no_engine_succeed(
    reader: Reader, shown: Document
) -> None:
    for command in shown.commands():
        await reader.types(command)


async def test_the_first_call_streams_the_answer_and_the_reflection_client_sees_the_decision(reader: Reader) -> None:
    printed = {command: await reader.types(command) for command in document("README.md").commands()}

    [asked] = [text for command, text in printed.items() if " ask " in command]
    [routed] = [text for command, text in printed.items() if "/Route" in command]
    assert asked == "Paris it is.\n"
    assert f'"model": "{_MODEL}"' in routed


async def test_the_python_call_of_the_readme_is_short_and_works(reader: Reader) -> None:
    [code] = document("README.md").blocks("python")

    printed = await reader.runs_python(code)

    assert len(code.strip().splitlines()) <= 10
    assert printed.startswith(f"1 {_MODEL} ")
    assert printed.endswith("Paris it is.")


async def test_the_clients_own_examples_work(reader: Reader) -> None:
    threads, asyncio_, tools = document("clients/python/README.md").blocks("python")

    assert (await reader.runs_python(threads)).endswith("Paris it is.")
    # The second shows the awaited calls alone, as they stand within a coroutine.
    indented = "".join(f"    {line}" for line in asyncio_.splitlines(keepends=True))
    program = f"import asyncio\nfrom tierway_client import *\n\nasync def main():\n{indented}\n\nasyncio.run(main())\n"
    assert (await reader.runs_python(program)).endswith("Paris it is.")

    # The third goes on with a client that is there; its model calls the function first.
    [engine] = reader.server.launcher.engines.values()
    call = ToolCall("c-1", "weather", '{"at": "Paris"}')
    engine.script(Chunk("", 9, finish_reason=FinishReason.TOOL_CALLS, usage=Usage(9, 0, 9), tool_calls=(call,)))
    begun = len(engine.started)
    program = (
        f'from tierway_client import *\n\nclient = Client("127.0.0.1:50051")\n{tools}\nprint(answer.text, end="")\n'
    )
    assert await reader.runs_python(program) == "Paris it is."
    told = engine.started[begun + 1].messages
    assert [message.role for message in told] == [Role.USER, Role.ASSISTANT, Role.TOOL]
    assert (told[1].tool_calls, told[2].tool_call_id) == ((call,), "c-1")


@pytest.mark.parametrize(
    "example",
    [
        pytest.param(text, id=f"{name} {n}")
        for name in ("docs/configuration.md", "docs/routing.md")
        for n, text in enumerate(document(name).blocks("yaml"))
    ],
)
def test_every_configuration_shown_is_one(example: str, tmp_path: Path) -> None:
    for shipped in (ROOT / "config").glob("*.yaml"):
        shutil.copy(shipped, tmp_path)
    file = tmp_path / "example.yaml"
    file.write_text(example)

    assert load(file, environ={}).models


def test_every_command_of_the_cli_is_mentioned() -> None:
    text = "".join(each.text for each in all_documents())
    assert [name for name in cli.commands if f"tierway {name}" not in text] == []
