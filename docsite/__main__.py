"""Builds the site: `python -m docsite` lays out build/pages and makes build/site of it.

The pages are laid out as in the repository, so that their links to one another, to examples and to
files of results hold in both. Whatever leads nowhere is an error.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from budgetmem.proto.generate import ROOT
from docsite import commands, links, modules, proto
from server.http.comments import comments

SOURCES = (
    *("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "CITATION.cff", "LICENSE"),
    *("docs", "examples", "deploy", "budgetmem/routers", "server/demo"),
)
"""What is part of the site: pages, and what they link to."""

STAGED, SITE = Path("build/pages"), Path("build/site")
"""As zensical.toml names them."""

REFERENCE = Path("docs/reference")


def main() -> None:
    """Exits with 1 if the generator refuses something, or a link leads nowhere."""
    stage(ROOT / STAGED)
    built = ROOT / SITE
    shutil.rmtree(built, ignore_errors=True)
    command = [str(Path(sys.executable).with_name("zensical")), "build", "--clean", "--strict"]
    if subprocess.run(command, cwd=ROOT, check=False).returncode:
        sys.exit(1)
    faults = [*links.broken(built), *(f"fetched: {link}" for link in links.fetched(built))]
    sys.exit("\n".join(faults) or 0)


def stage(folder: Path) -> None:
    """Lays out everything that the site is made of, below an empty folder."""
    shutil.rmtree(folder, ignore_errors=True)
    for name in SOURCES:
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    for name, text in generated():
        target = folder / REFERENCE / name
        target.parent.mkdir(exist_ok=True)
        target.write_text(text, encoding="utf-8")


def generated() -> Iterator[tuple[str, str]]:
    """Names and texts of the pages that are made from code."""
    yield "grpc.md", proto.page(comments())
    yield "commands.md", commands.page()
    yield from modules.pages()


if __name__ == "__main__":
    main()
