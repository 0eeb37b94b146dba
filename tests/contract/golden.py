"""Files that hold what must not change, beside the tests that compare with them.

`TIERWAY_WRITE_GOLDEN=1` writes them anew: do so when the contract is meant to change, and read the difference.
"""

from __future__ import annotations

import os
import textwrap
from pathlib import Path

from google.protobuf import text_format
from google.protobuf.message import Message

_FOLDER = Path(__file__).parent / "golden"
_DIVIDER = "--- bytes\n"


def assert_same_text(name: str, text: str) -> None:
    """Compare `text` with the file of this name."""
    path = _FOLDER / f"{name}.txt"
    if os.environ.get("TIERWAY_WRITE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def assert_same_bytes(name: str, message: Message, data: bytes) -> None:
    """Compare `data` with the file of this name, which shows it in hexadecimal and as text, and see that it is `message`."""
    assert_same_text(
        name,
        text_format.MessageToString(message, as_utf8=True) + _DIVIDER + "\n".join(textwrap.wrap(data.hex(), 96)) + "\n",
    )
    kept = bytes.fromhex("".join((_FOLDER / f"{name}.txt").read_text(encoding="utf-8").partition(_DIVIDER)[2].split()))
    assert type(message).FromString(kept) == message
