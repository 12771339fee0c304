"""Changes to write to a store, with toy vectors."""

from __future__ import annotations

import numpy as np

from budgetmem.chunking import units
from budgetmem.config import ChunkingProfile
from budgetmem.store.base import SessionChange, Settings
from budgetmem.types import Turn
from tests.toys import Words

SETTINGS = Settings("toy", 2, "{}")
EAST, NORTH = np.array([1, 0], np.float32), np.array([0, 1], np.float32)


def change(session, texts, *, version=0, start=0, vector=EAST, time=None):
    turns = tuple(
        Turn(f"{session}{start + i}", "Ana", text, time, session) for i, text in enumerate(texts)
    )
    made = units(session, turns, ChunkingProfile(neighbours=0), Words())
    return SessionChange(session, version, turns, tuple((u, vector) for u in made), frozenset())
