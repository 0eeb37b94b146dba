from collections.abc import Callable, Iterator

import pytest
from click.testing import CliRunner, Result

from tests.client.scripted_router import ScriptedRouter, serving_in_thread
from tierway_cli.main import cli

Run = Callable[..., Result]


@pytest.fixture
def router() -> ScriptedRouter:
    return ScriptedRouter()


@pytest.fixture
def target(router: ScriptedRouter) -> Iterator[str]:
    with serving_in_thread(router) as address:
        yield address


@pytest.fixture
def run() -> Run:
    """Runs the command with these arguments, in this process."""

    def invoke(*arguments: str, **options) -> Result:
        return CliRunner().invoke(cli, arguments, prog_name="tierway", **options)

    return invoke


@pytest.fixture
def ask_server(run: Run, target: str) -> Run:
    """Runs a subcommand against the scripted server."""
    return lambda *arguments, **options: run(*arguments, env={"TIERWAY_TARGET": target}, **options)
