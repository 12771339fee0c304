"""The code blocks of the documentation, found by a parser of CommonMark.

A block without a language is commands for a shell. `<!-- not run: REASON -->` before a block says
why the tests leave it alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
PAGES = (
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
    *(ROOT / "examples").glob("*.md"),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "budgetmem" / "routers").rglob("*.md")),
)
NOT_RUN = re.compile(r"<!-- not run: (?P<reason>.+?) -->\s*", re.DOTALL)
SHELL = "sh"


@dataclass(frozen=True)
class Block:
    """One fenced block: `line` is that of its first line of code, `reason` why it is not run."""

    page: Path
    line: int
    language: str
    text: str
    reason: str | None = None

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path) -> Iterator[Block]:
    """The blocks of a page, in order."""
    reason = None
    for token in MarkdownIt("commonmark").parse(page.read_text(encoding="utf-8")):
        if token.type == "html_block" and (mark := NOT_RUN.fullmatch(token.content)):
            reason = " ".join(mark["reason"].split())
            continue
        if token.type == "fence":
            language = (token.info.split() or [SHELL])[0]
            yield Block(page, token.map[0] + 2, language, token.content, reason)
        reason = None


ALL = tuple(block for page in PAGES for block in blocks(page))
"""Every block of every page."""
