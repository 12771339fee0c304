from __future__ import annotations

import pytest

from tests.docs.blocks import ROOT
from tests.served import served

NAMED = ("chat.jsonl", "locomo10.json", "meeting.txt", "longmemeval_oracle.json", "s_index.tsv")
NAMED += ("longmemeval_s_splits.json", "train.jsonl.gz", "validation.jsonl.gz")
"""Files of the reader that pages name; empty here."""


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Of a server of real doors, pipeline and store, whose models are fakes."""
    with served(tmp_path_factory.mktemp("data")) as address:
        yield address


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A folder to work in, where the repository's files are, and those that pages name."""
    for name in ("examples", "budgetmem", "training", "benchmarks", "docs", "server"):
        (tmp_path / name).symlink_to(ROOT / name)
    for name in NAMED:
        (tmp_path / name).touch()
    (tmp_path / "hotpotqa").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path
