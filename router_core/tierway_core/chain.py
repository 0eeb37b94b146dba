"""Fallback chains: following them, and rejecting those that lead back to themselves."""

from collections.abc import Iterator, Sequence
from itertools import islice

from tierway_core.errors import TableError

__all__ = ["CYCLES_COUNTED", "CYCLES_NAMED", "cycles", "follow", "reject_cycles"]

CYCLES_NAMED = 20
"""The error of a cyclic table names so many cycles."""

CYCLES_COUNTED = 1000
"""It counts the others up to so many in all: a small graph may have more cycles than anyone can wait for."""


def follow(edges: Sequence[Sequence[int]], start: int) -> Iterator[int]:
    """Yields what follows `start`, depth first, each once, without `start` itself.

    Ends on any graph, a cyclic one too: nothing is visited twice.
    """
    visited = {start}
    pending = [iter(edges[start])]
    while pending:
        node = next(pending[-1], None)
        if node is None:
            pending.pop()
        elif node not in visited:
            visited.add(node)
            yield node
            pending.append(iter(edges[node]))


def cycles(edges: Sequence[Sequence[int]]) -> Iterator[tuple[int, ...]]:
    """Yields every elementary cycle once, from its lowest node on, without that node again at the end.

    By Johnson's algorithm (SIAM J. Comput. 4, 1975): the time to the next cycle is bounded by the size of the graph.
    """
    reversed_edges = _reversed(edges)
    for root in range(len(edges)):
        # Lower nodes have had their turn: the cycles that are left lie where `root` leads to and is led to from.
        inside = _reached(edges, root)
        if root in inside:
            inside &= _reached(reversed_edges, root)
            yield from _through(root, [[node for node in after if node in inside] for after in edges])


def reject_cycles(edges: Sequence[Sequence[int]], names: Sequence[str]) -> None:
    """Searches for cycles.

    Raises:
        TableError: there is one; the path is that of the entry that closes the first, the message names all of them whole, up
            to `CYCLES_NAMED`, and counts the others.
    """
    found = list(islice(cycles(edges), CYCLES_COUNTED + 1))
    if not found:
        return
    named = [" -> ".join(names[node] for node in (*cycle, cycle[0])) for cycle in found[:CYCLES_NAMED]]
    if len(found) > CYCLES_COUNTED:
        named.append(f"and more than {CYCLES_COUNTED - CYCLES_NAMED} more")
    elif len(found) > CYCLES_NAMED:
        named.append(f"and {len(found) - CYCLES_NAMED} more")
    first = found[0]
    place = list(edges[first[-1]]).index(first[0])
    raise TableError(f"models[{first[-1]}].fallback[{place}]", "cyclic fallback: " + "; ".join(named))


def _through(root: int, edges: Sequence[Sequence[int]]) -> Iterator[tuple[int, ...]]:
    """Yields the cycles through `root`, whose nodes are all on one."""
    walk, blocked = [root], {root}
    waiting: dict[int, set[int]] = {}  # who is to be unblocked with whom
    pending = [iter(edges[root])]
    has_closed = [False]
    while pending:
        node = next(pending[-1], None)
        if node == root:
            has_closed[-1] = True
            yield tuple(walk)
        elif node is not None:
            if node not in blocked:
                walk.append(node)
                blocked.add(node)
                pending.append(iter(edges[node]))
                has_closed.append(False)
        else:
            pending.pop()
            left, closed = walk.pop(), has_closed.pop()
            if closed:
                _unblock(left, blocked, waiting)
                if has_closed:
                    has_closed[-1] = True
            else:
                for after in edges[left]:
                    waiting.setdefault(after, set()).add(left)


def _unblock(start: int, blocked: set[int], waiting: dict[int, set[int]]) -> None:
    pending = {start}
    while pending:
        node = pending.pop()
        blocked.discard(node)
        pending |= waiting.pop(node, set())


def _reached(edges: Sequence[Sequence[int]], start: int) -> set[int]:
    """What can be reached from `start` by one step or more, without a node below it."""
    reached: set[int] = set()
    pending = [start]
    while pending:
        for node in edges[pending.pop()]:
            if node >= start and node not in reached:
                reached.add(node)
                pending.append(node)
    return reached


def _reversed(edges: Sequence[Sequence[int]]) -> list[list[int]]:
    before: list[list[int]] = [[] for _ in edges]
    for node, after in enumerate(edges):
        for follower in after:
            before[follower].append(node)
    return before
