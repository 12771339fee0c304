"""Links of a built site: every one within it must lead to a file, and its anchor to a place there.

The generator checks links between pages; it knows nothing of other files, nor of what it makes of
docstrings.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LINKS = {"href", "src"}


class _Page(HTMLParser):
    """What a page links to, and the names of the places in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.anchors: set[str] = set()
        self.fetched: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value for name, value in attrs if value is not None}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        targets = {given[name] for name in LINKS & given.keys()}
        self.links |= targets
        if tag != "a":
            self.fetched |= targets


@cache
def _read(file: Path) -> _Page:
    return _Page(file.read_text(encoding="utf-8"))


def broken(site: Path) -> Iterator[str]:
    """A line for every link that leads nowhere."""
    site = site.resolve()
    for file, link in _all(site):
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            continue
        target = _target(file, unquote(parts.path))
        place = unquote(parts.fragment)
        if not target.is_file() or not target.is_relative_to(site):
            yield f"{file.relative_to(site)}: {link} is no file of the site"
        elif target.suffix == ".html" and place and place not in _read(target).anchors:
            yield f"{file.relative_to(site)}: {link} has no such place"


def _target(file: Path, path: str) -> Path:
    target = (file.parent / path).resolve() if path else file
    return target / "index.html" if target.is_dir() else target


def fetched(site: Path) -> set[str]:
    """What pages fetch from elsewhere when they are opened: nothing, if they work offline."""
    pages = (_read(file) for file in sorted(site.rglob("*.html")))
    return {link for page in pages for link in page.fetched if urlsplit(link).netloc}


def _all(site: Path) -> Iterator[tuple[Path, str]]:
    for file in sorted(site.rglob("*.html")):
        # A server shows it at any address; its links are from the root.
        if file.name != "404.html":
            yield from ((file, link) for link in sorted(_read(file).links))
