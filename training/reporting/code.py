"""Which code answered: one hash of everything that answers and scores."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import budgetmem
import server
import training

PACKAGES = tuple(Path(str(package.__file__)).parent for package in (budgetmem, server, training))

SUFFIXES = frozenset({".py", ".txt", ".toml", ".json", ".proto"})
"""Of sources: code, prompts, profiles and catalogues, schemas."""

BUNDLED = "routers"
"""The folder of routers that come with a package: they have versions of their own."""


def code_hash(packages: Sequence[Path] = PACKAGES) -> str:
    """16 hex digits of SHA-256 over the sources of these packages, in order of name.

    All of `training` is in it, so the hash may change where nothing that answers or scores did; it
    never stays where something did, but for compiled code: the scheduler, which changes no answer.
    """
    digest = hashlib.sha256()
    for package in packages:
        for file in sources(package):
            name = f"{package.name}/{file.relative_to(package).as_posix()}"
            digest.update(f"{name}\0{hashlib.sha256(file.read_bytes()).hexdigest()}\0".encode())
    return digest.hexdigest()[:16]


def sources(package: Path) -> Iterator[Path]:
    """Those of one package, in order of name."""
    for file in sorted(package.rglob("*")):
        inside = file.relative_to(package).parts
        if file.suffix in SUFFIXES and inside[0] != BUNDLED and file.is_file():
            yield file
