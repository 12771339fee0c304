"""What ingesting takes, worked out without doing it."""

import pytest

from budgetmem.backbone import HashEncoder
from budgetmem.config import load_profile
from budgetmem.history import Histories
from budgetmem.store.sqlite import SqliteStore
from budgetmem.types import Turn
from training.building import build_of

SMALL = load_profile("small")
TURNS = [
    Turn(f"t{number}", "Ana", f"I saw {number} birds. " * (1 + 40 * (number == 3)), session=session)
    for number, session in enumerate("aabbbc")
]


async def test_it_is_what_an_ingest_reads(tmp_path):
    encoder = HashEncoder(name=SMALL.encoder.asset)
    histories = Histories(SqliteStore(tmp_path), encoder, SMALL.retrieval)
    # A turn that comes twice is read once.
    read = await histories.ingest("tenant", "chat", [*TURNS, TURNS[0]])
    found = build_of([*TURNS, TURNS[0]], SMALL, encoder.tokens)
    assert found.tokens == read.tokens > 0
    assert found.cost_usd == pytest.approx(read.tokens * SMALL.encoder.price.input / 1e6)
