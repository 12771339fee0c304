"""Files of datasets: are they there, are they the official ones, and fields that need care."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence
from pathlib import Path

from budgetmem.errors import InvalidInput, NotFound
from budgetmem.importers.base import expect

_BLOCK = 1 << 20


class DatasetWarning(UserWarning):
    """A dataset can be used, but is not what its name promises."""


def existing(path: Path) -> Path:
    """The path itself. Raises NotFound if nothing is there."""
    if not path.exists():
        raise NotFound(f"{path} is not there; docs/datasets.md says where its data come from")
    return path


def sha256(path: Path) -> str:
    """Hex digest of a file, read in blocks."""
    hashed = hashlib.sha256()
    with existing(path).open("rb") as file:
        while block := file.read(_BLOCK):
            hashed.update(block)
    return hashed.hexdigest()


def digest(paths: Sequence[Path]) -> str:
    """The sha256 of one file; of several, that of their names and hashes, in order of name."""
    if len(paths) == 1:
        return sha256(paths[0])
    listed = sorted(f"{path.name} {sha256(path)}\n" for path in paths)
    return hashlib.sha256("".join(listed).encode()).hexdigest()


def check_official(path: Path, official: str, strict: bool) -> None:
    """Compares a file's sha256 with that of the official one.

    A difference is a DatasetWarning that names both, as trying things on a part of a dataset is
    no error; if `strict`, it is InvalidInput.
    """
    found = sha256(path)
    if found == official:
        return
    message = f"not the official file: its sha256 is {found}, the official one's {official}"
    if strict:
        raise InvalidInput(path.name, message)
    warnings.warn(f"{path.name}: {message}", DatasetWarning, stacklevel=2)


def answer(value: object, where: str) -> str:
    """A gold answer: a string, or a number as it is written. Raises InvalidInput."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return filled(value, where)


def filled(value: object, where: str) -> str:
    """A string that is not blank. Raises InvalidInput."""
    text = expect(value, str, where)
    if not text.strip():
        raise InvalidInput(where, "is empty")
    return text
