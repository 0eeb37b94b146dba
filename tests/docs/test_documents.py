"""What the documents name is there, and what their tables list is complete."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from tests.docs.documents import ROOT, Document, all_documents, document
from tests.docs.typing_along import TARGETS
from tierway_cli.main import cli
from tierway_server import errors
from tierway_server.config import json_schema
from tierway_server.config.settings import environment_name, settings
from tierway_server.rpc.status import code_of
from tierway_server.telemetry import semconv

EVERY = pytest.mark.parametrize("shown", [pytest.param(each, id=each.name) for each in all_documents()])
ADRS = [each for each in all_documents() if each.path.parent.name == "adr"]

_METRIC = re.compile(r"\b(?:tierway|grpc_server)_[a-z_]+\b")
_PACKAGES = frozenset(
    {"tierway_bench", "tierway_cli", "tierway_client", "tierway_core", "tierway_server", "tierway_sim"}
)
_VARIABLE = re.compile(r"\b(?:TIERWAY|VLLM)_[A-Z_]+\b")
_OTHERS_OPTIONS = frozenset({"--grpc", "--no-deps", "--model"})
"""vLLM's, pip's, a benchmark's."""


@EVERY
def test_every_relative_link_leads_somewhere(shown: Document) -> None:
    broken = []
    for link in shown.links:
        path, _, anchor = link.partition("#")
        if path.startswith(("http:", "https:")):
            continue
        target = (shown.path.parent / path).resolve() if path else shown.path
        if not target.exists() or (anchor and anchor not in Document(target).anchors):
            broken.append(link)
    assert broken == []


@EVERY
def test_every_make_target_named_is_one(shown: Document) -> None:
    named = {code.split()[1] for code in shown.inline_code if code.startswith("make ") and len(code.split()) > 1}
    assert named - TARGETS == set()


@EVERY
def test_every_option_named_is_one(shown: Document) -> None:
    named = {option for code in shown.inline_code for option in re.findall(r"(?<!\S)--[a-z][a-z-]*", code)}
    assert named - _options(cli) - _OTHERS_OPTIONS == set()


@EVERY
def test_every_metric_named_is_one(shown: Document) -> None:
    assert set(_METRIC.findall(shown.text)) - _PACKAGES - _metrics() == set()


@EVERY
def test_every_environment_variable_named_is_read_somewhere(shown: Document) -> None:
    sources = "".join(path.read_text() for path in _sources())
    known = {environment_name(setting) for setting in settings()} | set(_VARIABLE.findall(sources))
    assert set(_VARIABLE.findall(shown.text)) - known == set()


def test_the_metrics_table_lists_all_of_them() -> None:
    listed = [row[0].strip("`") for row in document("docs/operating.md").rows("metric", "labels")]
    assert sorted(listed) == sorted(_metrics())


def test_the_errors_table_lists_every_error_with_its_code() -> None:
    rows = document("docs/errors.md").rows("reason", "code")
    listed = [(row[0].strip("`"), row[1]) for row in rows]
    raised = {(kind.reason, code_of(kind("")).name) for kind in _below(errors.TierwayError)}
    assert sorted(listed) == sorted(raised)


def test_the_table_of_keys_is_the_schema() -> None:
    listed = [tuple(row) for row in document("docs/configuration.md").rows("key", "default", "meaning")]
    assert listed == list(_keys(json_schema(), ""))


@pytest.mark.parametrize("shown", [pytest.param(each, id=each.name) for each in ADRS])
def test_a_decision_record_is_short_and_has_its_four_parts(shown: Document) -> None:
    number = int(shown.path.name[:4])
    headings = re.findall(r"^(#+ .+)$", shown.prose, re.MULTILINE)
    assert headings[0].startswith(f"# {number}. ")
    assert headings[1:] == ["## Status", "## Context", "## Decision", "## Consequences"]
    assert len(shown.text.splitlines()) < 60


def test_decision_records_are_numbered_without_gaps() -> None:
    assert [int(each.path.name[:4]) for each in ADRS] == list(range(1, len(ADRS) + 1))


def test_every_document_that_the_code_refers_to_is_there() -> None:
    named = {name for path in _sources() for name in re.findall(r"\bdocs/[a-z0-9/.-]+[a-z0-9]", path.read_text())}
    assert [name for name in sorted(named) if not list(ROOT.glob(f"{name}*"))] == []


def test_the_readme_fits_on_three_screens() -> None:
    assert len(document("README.md").text.splitlines()) < 120


def _metrics() -> set[str]:
    names = (value for value in vars(semconv).values() if isinstance(value, str))
    return {name for name in names if _METRIC.fullmatch(name)}


def _options(command: click.Command) -> set[str]:
    options = {
        option
        for parameter in command.params
        for option in (*parameter.opts, *parameter.secondary_opts)
        if option.startswith("--")
    }
    below = command.commands.values() if isinstance(command, click.Group) else ()
    return options.union({"--help"}, *map(_options, below))


def _below(kind: type[errors.TierwayError]) -> Iterator[type[errors.TierwayError]]:
    for subclass in kind.__subclasses__():
        if subclass.__module__ == errors.__name__:
            yield subclass
            yield from _below(subclass)


def _sources() -> list[Path]:
    folders = ("router_core", "server", "bench", "clients/python/tierway_client", "scripts", "protos")
    found = [
        path for folder in folders for path in (ROOT / folder).rglob("*") if path.suffix in {".py", ".pyx", ".proto"}
    ]
    return [*found, ROOT / "Makefile", ROOT / "setup.py", *(ROOT / "config").glob("*.yaml")]


def _keys(schema: dict[str, Any], prefix: str) -> Iterator[tuple[str, str, str]]:
    """Every key of the schema as the table shows it: its path, its default, its description."""
    definitions = schema.get("$defs", {})

    def resolved(node: dict[str, Any]) -> dict[str, Any]:
        if "$ref" in node:
            return resolved(definitions[node["$ref"].rpartition("/")[2]])
        if "anyOf" in node:
            return resolved(next(option for option in node["anyOf"] if option.get("type") != "null"))
        return node

    def walk(node: dict[str, Any], prefix: str) -> Iterator[tuple[str, str, str]]:
        for name, child in resolved(node).get("properties", {}).items():
            path = f"{prefix}{name}"
            kind = resolved(child)
            item = (
                kind.get("items")
                or kind.get("additionalProperties")
                or next(iter(kind.get("patternProperties", {}).values()), {})
            )
            if "properties" in kind:
                yield from walk(child, f"{path}.")
            elif isinstance(item, dict) and "properties" in resolved(item):
                yield from walk(item, f"{path}[]." if "items" in kind else f"{path}.NAME.")
            else:
                yield f"`{path}`", _default(child), " ".join(child.get("description", "").split())

    yield from walk(schema, prefix)


def _default(node: dict[str, Any]) -> str:
    match node.get("default"):
        case None:
            return "-"
        case float(number):
            return f"`{number:g}`"
        case str(text):
            return f"`{text}`"
        case other:
            return f"`{json.dumps(other)}`"
