"""Every cell of `docs/fault-matrix.md`, run again."""

from __future__ import annotations

import pytest

from tests.faults import matrix
from tests.faults.faulty import Row
from tests.faults.rows import ROWS


def written() -> list[str]:
    """The lines of the table on the page."""
    return [line for line in matrix.PAGE.read_text().splitlines() if line.startswith("| ")][1:]


def of(row: Row) -> list[str]:
    """Those of one row."""
    return [line for line in written() if line.startswith(f"| {row.name} | {row.when} |")]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.key)
async def test_what_happens_is_what_the_page_says(row: Row) -> None:
    """`python -m tests.faults.matrix` writes it anew."""
    assert await matrix.lines(row) == of(row)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.key)
def test_wires_that_differ_are_known_to(row: Row) -> None:
    """What differs for no reason that anybody can name is a fault of ours."""
    assert (len(of(row)) > 1) is bool(row.why)


def test_the_page_has_these_rows_and_no_others() -> None:
    assert matrix.PAGE.read_text() == matrix.page(written())
    keys = [tuple(line.strip("| ").split(" | ")[:2]) for line in written()]
    assert list(dict.fromkeys(keys)) == [(row.name, row.when) for row in ROWS]
