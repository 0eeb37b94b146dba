"""Single settings from outside the file: `TIERWAY_SERVER__LISTEN=...` in the environment, `server.listen` as a flag."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from types import NoneType
from typing import Annotated, get_args, get_origin

from pydantic import BaseModel

from tierway_server.config.model import Config
from tierway_server.config.problems import Problem
from tierway_server.config.suggest import did_you_mean
from tierway_server.config.tree import Node, Scalar, with_value

_SECTIONS = ("server", "constitution", "routing", "breaker")
_PREFIX = "TIERWAY_"
_SEPARATOR = "__"
_INTEGER = re.compile(r"[-+]?[0-9]{1,30}")

_Kind = type[str] | type[int] | type[float] | type[bool]


def environment_name(setting: str) -> str:
    """Return ``TIERWAY_SERVER__LISTEN`` for ``server.listen``."""
    return _PREFIX + setting.upper().replace(".", _SEPARATOR)


def settings() -> dict[str, _Kind]:
    """Return the dotted name and the type of each setting that environment and flags may state: the scalars of four sections."""
    return {
        name: kind for section in _SECTIONS for name, kind in _scalars(section, Config.model_fields[section].annotation)
    }


def apply(tree: Node, *, environ: Mapping[str, str], overrides: Mapping[str, str]) -> tuple[Node, list[Problem]]:
    """Return `tree` with the settings of `environ` on top of it, and those of `overrides` on top of both.

    The problems beside it are names that are no setting.
    """
    known = settings()
    problems: list[Problem] = []
    from_environment = {environment_name(setting): setting for setting in known}
    for variable in sorted(name for name in environ if name.startswith(_PREFIX) and _SEPARATOR in name):
        setting = from_environment.get(variable)
        if setting is None:
            problems.append(_unknown(variable, from_environment))
        else:
            tree = _with(tree, setting, known[setting], environ[variable], f"environment {variable}")
    for setting, text in overrides.items():
        if setting not in known:
            problems.append(_unknown(setting, known))
        else:
            tree = _with(tree, setting, known[setting], text, f"override {setting}")
    return tree, problems


def _unknown(name: str, known: Iterable[str]) -> Problem:
    return Problem(path=name, message=f"unknown setting{did_you_mean(name, known)}")


def _with(tree: Node, setting: str, kind: _Kind, text: str, source: str) -> Node:
    return with_value(tree, tuple(setting.split(".")), Node(value=_read(text, kind), source=source))


def _read(text: str, kind: _Kind) -> Scalar:
    """Return the value that `text` writes, or `text` itself, which the section then refuses as it would in a file."""
    if kind is bool:
        return {"true": True, "false": False}.get(text.strip().lower(), text)
    if kind is int and _INTEGER.fullmatch(text.strip()):
        return int(text)
    if kind is float:
        try:
            return float(text)
        except ValueError:
            return text
    return text


def _scalars(prefix: str, annotation: object) -> Iterator[tuple[str, _Kind]]:
    annotation = _stated(annotation)
    if annotation in (str, int, float, bool):
        yield prefix, annotation
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        for name, field in annotation.model_fields.items():
            yield from _scalars(f"{prefix}.{name}", field.annotation)


def _stated(annotation: object) -> object:
    """The type of a value that is stated: that of `str | None` is `str`."""
    if NoneType in get_args(annotation):
        [annotation] = [each for each in get_args(annotation) if each is not NoneType]
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
