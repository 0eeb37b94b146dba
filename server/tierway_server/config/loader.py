"""The one loader: file, then environment, then flags; checked whole before anything starts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import yaml
from pydantic import ValidationError

from tierway_server.config import settings, source
from tierway_server.config.classifier import check_domains
from tierway_server.config.complaints import complaints
from tierway_server.config.crosscheck import cross_check
from tierway_server.config.model import Config
from tierway_server.config.problems import ConfigError, Location, Problem, location_of, path_of
from tierway_server.config.table import build_table
from tierway_server.config.tree import Node, plain, source_at

_NOTHING: Mapping[str, str] = MappingProxyType({})


def default_path() -> Path:
    """Return the configuration that serves when none is named: the embedded model beside the eleven endpoints."""
    return Path(__file__).parent / "defaults" / "embedded.yaml"


def load(path: Path | None, *, overrides: Mapping[str, str] = _NOTHING, environ: Mapping[str, str]) -> Config:
    """Return the configuration of the file at `path` (None: the default one) under `environ` and `overrides`.

    Args:
        path: a YAML file.
        overrides: text by dotted name, such as ``{"server.listen": "127.0.0.1:0"}``: the flags. They win over all.
        environ: the environment, of which ``TIERWAY_<SECTION>__<KEY>`` are read.

    Raises:
        ConfigError: with all problems that could be found.
    """
    tree = source.read(default_path() if path is None else path)
    return _check(*settings.apply(tree, environ=environ, overrides=overrides))


def parse(document: Mapping[str, object]) -> Config:
    """Return the configuration that `document`, as YAML would give it, states. Only files can `include`.

    Raises:
        ConfigError: with all problems that could be found.
        TypeError: when `document` has a value that YAML has not.
    """
    if "include" in document:
        raise ConfigError([Problem(path="include", message="only a file can include others")])
    return _check(_as_tree(document), [])


def redacted(config: Config) -> str:
    """Return `config` as YAML for the log of the start, defaults filled in. Secrets are not in it: only references to them are."""
    return yaml.safe_dump(config.model_dump(mode="json", exclude={"include"}), sort_keys=False, allow_unicode=True)


def _check(tree: Node, problems: list[Problem]) -> Config:
    """Return what `tree` states; `problems` is what was found on the way to it."""
    document = {key: plain(child) for key, child in tree.value.items()} if isinstance(tree.value, dict) else {}
    findings: dict[Location, str] = {}
    config = _validate(document, findings)
    for location, message in cross_check(document):
        findings.setdefault(location, message)
    if config is not None and not findings:
        findings.update(_table_findings(config))
    problems = [*problems, *(_problem(tree, location, message) for location, message in findings.items())]
    if config is None or problems:
        raise ConfigError(problems)
    return config


def _problem(tree: Node, location: Location, message: str) -> Problem:
    return Problem(path=path_of(location), message=message, source=source_at(tree, location))


def _validate(document: Mapping[str, object], findings: dict[Location, str]) -> Config | None:
    try:
        return Config.model_validate(document)
    except ValidationError as error:
        findings.update(complaints(error, Config))
        return None


def _table_findings(config: Config) -> Iterator[tuple[Location, str]]:
    try:
        build_table(config)
    except ConfigError as error:
        for problem in error.problems:
            yield location_of(problem.path), problem.message
    yield from check_domains(config)


def _as_tree(value: object) -> Node:
    if isinstance(value, Mapping):
        return Node(value={str(key): _as_tree(child) for key, child in value.items()}, source="")
    if isinstance(value, list | tuple):
        return Node(value=[_as_tree(child) for child in value], source="")
    if value is None or isinstance(value, str | int | float | bool):
        return Node(value=value, source="")
    raise TypeError(f"a configuration cannot hold a {type(value).__name__}")
