"""Every cell of `docs/fault-matrix.md`, run again."""

from __future__ import annotations

import pytest

from tests.faults import matrix
from tests.faults.faulty import ROWS, Row


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.key)
async def test_what_happens_is_what_the_page_says(row: Row) -> None:
    """`python -m tests.faults.matrix` writes it anew."""
    assert await matrix.line(row) in matrix.PAGE.read_text().splitlines()


def test_the_page_has_these_rows_and_no_others() -> None:
    lines = [line for line in matrix.PAGE.read_text().splitlines() if line.startswith("| ")]
    assert matrix.PAGE.read_text() == matrix.page(lines[1:])
    assert [tuple(line.strip("| ").split(" | ")[:2]) for line in lines[1:]] == [(row.name, row.when) for row in ROWS]
