"""Fallback chains: following them, and rejecting those that lead back to themselves."""

from collections.abc import Iterator, Sequence

from tierway_core.errors import TableError

__all__ = ["follow", "reject_cycles"]


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


def reject_cycles(edges: Sequence[Sequence[int]], names: Sequence[str]) -> None:
    """Searches for a cycle.

    Raises:
        TableError: there is one; the path is that of the entry that closes it, the message names it whole.
    """
    finished: set[int] = set()
    for root in range(len(edges)):
        walk = [root]  # the way from the root to where we are
        pending = [iter(enumerate(edges[root]))]
        while pending and root not in finished:
            place, node = next(pending[-1], (-1, -1))
            if node < 0:
                finished.add(walk.pop())
                pending.pop()
            elif node in walk:
                cycle = [*walk[walk.index(node) :], node]
                raise TableError(
                    f"models[{walk[-1]}].fallback[{place}]", "cyclic fallback: " + " -> ".join(names[i] for i in cycle)
                )
            elif node not in finished:
                walk.append(node)
                pending.append(iter(enumerate(edges[node])))
