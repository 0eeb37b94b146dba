"""The name of a tool parser: checked against the installed vLLM's own, without importing it."""

import subprocess
import sys

import pytest

from tierway_server.config import EngineConfig, parse
from tierway_server.config.tool_parsers import tool_parser_names

TABLE = "vllm/tool_parsers/__init__.py"


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Puts a vLLM in front of the one that is installed, and returns a function that says what its table of parsers is."""

    def install(table: str) -> None:
        (tmp_path / TABLE).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "vllm" / "__init__.py").write_text("raise AssertionError('imported')")
        (tmp_path / TABLE).write_text(table)

    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "vllm", raising=False)
    return install


def test_one_that_is_unknown_is_refused_with_the_nearest(small, problems):
    small["engines"]["tiny"]["tool_parser"] = "hermess"
    assert problems(small) == [
        'engines.tiny.tool_parser: vLLM has no such tool parser; did you mean "hermes"?',
    ]


def test_those_of_the_installed_version_are_taken(installed):
    installed('"""What there is."""\n_TOOL_PARSERS_TO_REGISTER = {"new": ("new_tool_parser", "New")}\n')
    assert tool_parser_names() == {"new"}


@pytest.mark.parametrize("table", ["", "_TOOL_PARSERS_TO_REGISTER = made()", "no Python!", "\0"])
def test_where_it_keeps_them_elsewhere_nothing_is_refused(table, installed, small):
    installed(table)
    small["engines"]["tiny"]["tool_parser"] = "anything"
    assert parse(small).engines["tiny"].tool_parser == "anything"


def test_without_vllm_nothing_is_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "vllm", None)
    assert EngineConfig(model="embedded", context_tokens=64, tool_parser="anything").tool_parser == "anything"


def test_vllm_is_not_imported_for_it():
    script = (
        "import sys; from tierway_server.config import EngineConfig;"
        "EngineConfig(model='embedded', context_tokens=64, tool_parser='hermes');"
        "print('vllm' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True)
    assert done.stdout == "False\n"
