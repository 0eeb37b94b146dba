"""A configuration before it has a meaning: nested values that remember where each of them was written."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tierway_server.config.problems import Location

Scalar = str | int | float | bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A value and its origin. Trees are built once and never changed: `merge` and `with_value` return new ones."""

    value: Scalar | list[Node] | dict[str, Node]
    """A scalar, or the nodes below."""

    source: str
    """``file:line``, an environment variable, or an override."""


def plain(node: Node) -> object:
    """Return the values alone: nested dicts, lists and scalars."""
    if isinstance(node.value, dict):
        return {key: plain(child) for key, child in node.value.items()}
    if isinstance(node.value, list):
        return [plain(child) for child in node.value]
    return node.value


def source_at(node: Node, location: Location) -> str:
    """Return where the value at `location` was written, or the nearest thing above it that exists."""
    for part in location:
        child = _child(node, part)
        if child is None:
            break
        node = child
    return node.source


def merge(base: Node, overlay: Node) -> Node:
    """Return `base` with `overlay` on top: mappings merge key by key, lists of named things by name, all else is replaced."""
    if isinstance(base.value, dict) and isinstance(overlay.value, dict):
        merged = dict(base.value)
        for key, child in overlay.value.items():
            merged[key] = merge(merged[key], child) if key in merged else child
        return Node(value=merged, source=overlay.source)
    if isinstance(base.value, list) and isinstance(overlay.value, list):
        base_names, overlay_names = _names(base.value), _names(overlay.value)
        if base_names and overlay_names:
            return Node(value=_merge_named(base.value, base_names, overlay.value, overlay_names), source=overlay.source)
    return overlay


def with_value(root: Node, keys: tuple[str, ...], leaf: Node) -> Node:
    """Return `root` with `leaf` at the nested `keys`. What stands in the way and is no mapping stays, to be reported as such."""
    for key in reversed(keys):
        leaf = Node(value={key: leaf}, source=leaf.source)
    return _fill(root, leaf)


def _child(node: Node, part: int | str) -> Node | None:
    if isinstance(node.value, dict) and isinstance(part, str):
        return node.value.get(part)
    if isinstance(node.value, list) and isinstance(part, int) and part < len(node.value):
        return node.value[part]
    return None


def _fill(base: Node, overlay: Node) -> Node:
    if not isinstance(overlay.value, dict) or base.value is None:
        return overlay
    if not isinstance(base.value, dict):
        return base
    merged = dict(base.value)
    for key, child in overlay.value.items():
        merged[key] = _fill(merged[key], child) if key in merged else child
    return Node(value=merged, source=base.source)


def _names(items: Iterable[Node]) -> list[str]:
    """Return the name of each item, or nothing unless every item has one."""
    names = []
    for item in items:
        name = item.value.get("name") if isinstance(item.value, dict) else None
        if name is None or not isinstance(name.value, str):
            return []
        names.append(name.value)
    return names


def _merge_named(base: list[Node], base_names: list[str], overlay: list[Node], overlay_names: list[str]) -> list[Node]:
    # A name that occurs twice in the overlay is kept twice: duplicates are to be reported, not merged away.
    merged, position, used = (
        list(base),
        {name: index for index, name in reversed(list(enumerate(base_names)))},
        set[str](),
    )
    for name, item in zip(overlay_names, overlay, strict=True):
        if name in position and name not in used:
            merged[position[name]] = merge(merged[position[name]], item)
        else:
            merged.append(item)
        used.add(name)
    return merged
