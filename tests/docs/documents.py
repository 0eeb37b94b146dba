"""The documents of the repository, taken apart: fenced blocks, tables, links, inline code."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

_FENCE = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE_CODE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_SEPARATOR = re.compile(r"[-| :]+")


@dataclass(frozen=True)
class Document:
    """One Markdown file."""

    path: Path

    @property
    def name(self) -> str:
        """Its path from the root of the repository."""
        return str(self.path.relative_to(ROOT))

    @cached_property
    def text(self) -> str:
        return self.path.read_text()

    @cached_property
    def prose(self) -> str:
        """The text without its fenced blocks."""
        return _FENCE.sub("", self.text)

    @property
    def inline_code(self) -> list[str]:
        return _INLINE_CODE.findall(self.prose)

    @property
    def links(self) -> list[str]:
        return [match["target"] for match in _LINK.finditer(self.prose)]

    @property
    def anchors(self) -> set[str]:
        """What links to its headings name, as GitHub makes them."""
        return {
            re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-")
            for heading in _HEADING.findall(self.prose)
        }

    def blocks(self, language: str) -> list[str]:
        """The fenced blocks of a language."""
        return [match["text"] for match in _FENCE.finditer(self.text) if match["language"] == language]

    def commands(self) -> list[str]:
        """The lines that a reader is to type: those of console blocks after `$ `."""
        lines = (line for block in self.blocks("console") for line in block.splitlines())
        return [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]

    def rows(self, *columns: str) -> list[Sequence[str]]:
        """The cells of all tables that begin with these columns."""
        rows: list[Sequence[str]] = []
        is_inside = False
        for line in self.text.splitlines():
            cells = tuple(cell.strip() for cell in line.strip().strip("|").split("|")) if line.startswith("|") else ()
            if not cells or cells[: len(columns)] == columns:
                is_inside = bool(cells)
            elif is_inside and not _SEPARATOR.fullmatch(line):
                rows.append(cells)
        return rows


def document(name: str) -> Document:
    """The document of this path."""
    return Document(ROOT / name)


def all_documents() -> list[Document]:
    """Every document that is written for readers of the repository."""
    paths = [*ROOT.glob("*.md"), ROOT / "clients/python/README.md", *(ROOT / "docs").rglob("*.md")]
    return [Document(path) for path in sorted(paths)]
