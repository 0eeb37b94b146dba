"""Rows of JSON Lines, one at a time: from a file or standard input, plain or in gzip, whatever the name says."""

import gzip
import json
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple, cast

_GZIP_MAGIC = b"\x1f\x8b"
_MOST_BYTES = 64 * 2**20
"""The longest line: what is read is never more than one of them."""


class RowError(Exception):
    """A row cannot be used. Its text is one line for a person: file, line, what is wrong."""

    def __init__(self, source: str, line: int, message: str) -> None:
        super().__init__(f"{source}, line {line}: {message}")


class Row(NamedTuple):
    """A prompt to score."""

    line: int
    """Its line, counted from 1."""
    id: str | int
    """What it is called, as the row has it."""
    prompt: str
    """The text."""


@contextmanager
def opened(file: str) -> Iterator[IO[bytes]]:
    """The bytes of a file (`-`: standard input), unpacked when they are gzip.

    Raises:
        OSError: it cannot be opened.
    """
    if file == "-":
        yield _unpacked(sys.stdin.buffer)
        return
    with Path(file).open("rb") as raw:
        yield _unpacked(raw)


def read_rows(stream: IO[bytes], source: str) -> Iterator[Row]:
    """Yield the rows of `stream`; blank lines are passed over.

    Args:
        stream: JSON Lines in UTF-8.
        source: what errors call it.

    Raises:
        RowError: a line that is no object with `id` and `prompt`.
    """
    number = 0
    while True:
        number += 1
        try:
            line = stream.readline(_MOST_BYTES + 1)
        except (EOFError, OSError, zlib.error) as error:
            raise RowError(source, number, f"cannot be read: {error}") from None
        if not line:
            return
        if len(line) > _MOST_BYTES:
            raise RowError(source, number, f"is longer than {_MOST_BYTES} bytes")
        if not line.isspace():
            yield _row(line, source, number)


def _row(line: bytes, source: str, number: int) -> Row:
    try:
        fields = json.loads(line)
    except UnicodeDecodeError:
        raise RowError(source, number, "is not UTF-8") from None
    except (ValueError, RecursionError) as error:
        raise RowError(source, number, f"is not JSON: {error}") from None
    if not isinstance(fields, dict):
        raise RowError(source, number, "must be an object with id and prompt")
    for name in ("id", "prompt"):
        if name not in fields:
            raise RowError(source, number, f"has no {name}")
    if not isinstance(fields["id"], str | int) or isinstance(fields["id"], bool):
        raise RowError(source, number, "id must be text or a whole number")
    if not isinstance(fields["prompt"], str):
        raise RowError(source, number, "prompt must be text")
    return Row(number, fields["id"], fields["prompt"])


def _unpacked(raw: IO[bytes]) -> IO[bytes]:
    # Files and standard input are buffered readers, which can look ahead; a test's stand-in is rewound instead.
    head = raw.peek(2)[:2] if hasattr(raw, "peek") else raw.read(2)
    if not hasattr(raw, "peek"):
        raw.seek(0)
    return cast("IO[bytes]", gzip.GzipFile(fileobj=raw)) if head == _GZIP_MAGIC else raw
