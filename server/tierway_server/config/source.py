"""Reads YAML files into one tree: scalars as YAML 1.2 has them, duplicate keys refused, `include` followed.

YAML 1.2's core schema, because 1.1 (PyYAML's own) reads `no` as false, `0123` as octal and `1e-3` as text.
"""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from tierway_server.config.problems import ConfigError, Location, Problem, path_of, quoted
from tierway_server.config.tree import Node, Scalar, merge

MAX_FILE_BYTES = 1 << 20
MAX_NODES = 20_000  # aliases multiply: a few lines can describe billions of nodes
MAX_INCLUDE_DEPTH = 8

_INT = re.compile(r"[-+]?[0-9]{1,30}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_CONSTANTS: dict[str, Scalar] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
_TAG = "tag:yaml.org,2002:"


def read(path: Path) -> Node:
    """Return the file at `path` merged onto the files that it includes, which are merged in their order.

    Raises:
        ConfigError: with the problems of all files that could be reached.
    """
    problems: list[Problem] = []
    tree = _read_with_includes(path, (), ("", ""), problems)
    if problems:
        raise ConfigError(problems)
    return tree


def _read_with_includes(
    path: Path, above: tuple[Path, ...], asked_by: tuple[str, str], problems: list[Problem]
) -> Node:
    """`asked_by` is the path and the source of the include to blame when there is no such file."""
    text = _read_text(path, asked_by, problems)
    tree = None if text is None else _Builder(path, problems).build(text)
    if tree is None:
        return Node(value={}, source=str(path))
    stack = (*above, path.resolve())
    base: Node | None = None
    for included, where, source in _includes(tree, problems):
        target = path.parent / included
        if target.resolve() in stack:
            problems.append(
                Problem(
                    path=where, message=f"{quoted(included)} includes itself, directly or through others", source=source
                )
            )
        elif len(stack) > MAX_INCLUDE_DEPTH:
            problems.append(Problem(path=where, message=f"more than {MAX_INCLUDE_DEPTH} levels deep", source=source))
        else:
            below = _read_with_includes(target, stack, (where, source), problems)
            base = below if base is None else merge(base, below)
    return tree if base is None else merge(base, tree)


def _read_text(path: Path, asked_by: tuple[str, str], problems: list[Problem]) -> str | None:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            message = f"{path} is larger than {MAX_FILE_BYTES} bytes"
        else:
            return data.decode("utf-8-sig")
    except FileNotFoundError:
        message = f"there is no file {path}"
    except IsADirectoryError:
        message = f"{path} is a folder, not a file"
    except UnicodeDecodeError:
        message = f"{path} is not UTF-8"
    except (OSError, ValueError) as error:
        message = f"{path} cannot be read: {getattr(error, 'strerror', None) or 'not a file name'}"
    problems.append(Problem(path=asked_by[0], message=message, source=asked_by[1]))
    return None


def _includes(tree: Node, problems: list[Problem]) -> list[tuple[str, str, str]]:
    """Return the files that `tree` asks for, each with the path and the source of the entry that asks."""
    node = tree.value.get("include") if isinstance(tree.value, dict) else None
    if node is None:
        return []
    if not isinstance(node.value, list):
        problems.append(Problem(path="include", message="must be a list of files", source=node.source))
        return []
    found = []
    for index, item in enumerate(node.value):
        if isinstance(item.value, str) and item.value:
            found.append((item.value, f"include[{index}]", item.source))
        else:
            problems.append(Problem(path=f"include[{index}]", message="must be the name of a file", source=item.source))
    return found


class _Builder:
    """Turns the YAML graph of one file into a tree."""

    def __init__(self, path: Path, problems: list[Problem]) -> None:
        self._path = path
        self._problems = problems
        self._nodes = 0

    def build(self, text: str) -> Node | None:
        """Return the tree of `text`, whose root is a mapping, or None after reporting why there is none."""
        try:
            graph = yaml.compose(text, Loader=yaml.BaseLoader)  # every scalar as text, and no objects
            tree = None if graph is None else self._node(graph, (), graph.start_mark.line)
        except yaml.MarkedYAMLError as error:
            line = "" if error.problem_mark is None else f":{error.problem_mark.line + 1}"
            self._report(f"not YAML: {error.problem or error.context}", f"{self._path}{line}")
        except yaml.YAMLError:
            self._report("not YAML: it has a character that no text has", str(self._path))
        except (_TooManyNodesError, RecursionError):
            self._report(f"too deep, or more than {MAX_NODES} values once aliases are followed", str(self._path))
        else:
            if tree is None or tree.value is None:
                return Node(value={}, source=str(self._path))
            if isinstance(tree.value, dict):
                return tree
            self._report("must be a mapping at the top", tree.source)
        return None

    def _report(self, message: str, source: str, location: Location = ()) -> None:
        self._problems.append(Problem(path=path_of(location), message=message, source=source))

    def _node(self, graph: yaml.Node, location: Location, line: int) -> Node:
        """`line` counts from 0 and is where a person looks for the value: the line of its key, if it has one."""
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise _TooManyNodesError
        source = f"{self._path}:{line + 1}"
        if graph.tag not in (_TAG + "str", _TAG + "seq", _TAG + "map"):
            self._report("YAML tags are not supported", source, location)
        if isinstance(graph, yaml.MappingNode):
            return Node(value=self._mapping(graph, location), source=source)
        if isinstance(graph, yaml.SequenceNode):
            items = [
                self._node(item, (*location, index), item.start_mark.line) for index, item in enumerate(graph.value)
            ]
            return Node(value=items, source=source)
        is_quoted = isinstance(graph, yaml.ScalarNode) and bool(graph.style)
        return Node(value=graph.value if is_quoted else _scalar(graph.value), source=source)

    def _mapping(self, graph: yaml.MappingNode, location: Location) -> dict[str, Node]:
        mapping: dict[str, Node] = {}
        first_lines: dict[str, int] = {}
        for key, value in graph.value:
            line = key.start_mark.line
            source = f"{self._path}:{line + 1}"
            if not isinstance(key, yaml.ScalarNode):
                self._report("a key must be text", source, location)
                continue
            here = (*location, key.value)
            if key.value in mapping:
                self._report(f"duplicate key, first on line {first_lines[key.value] + 1}", source, here)
                continue
            first_lines[key.value] = line
            mapping[key.value] = self._node(value, here, line)
        return mapping


class _TooManyNodesError(Exception):
    pass


def _scalar(text: str) -> Scalar:
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text
