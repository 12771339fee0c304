"""A process that ingests into one history, or deletes it, over and over (see test_races)."""

import asyncio
import json
import sys

from budgetmem.backbone import HashEncoder
from budgetmem.config import RetrievalProfile
from budgetmem.errors import NotFound
from budgetmem.history import Histories
from budgetmem.store.opening import opened
from budgetmem.types import Turn


async def ingest(histories: Histories, name: str, count: int) -> list[str]:
    done = []
    for number in range(count):
        turn = Turn(f"{name}-{number}", name, f"words {number}", session="s")
        await histories.ingest("t", "h", [turn])
        done.append(turn.id)
    return done


async def delete(histories: Histories, count: int) -> list[int]:
    removed = []
    for _ in range(count):
        await asyncio.sleep(0.01)
        try:
            proof = await histories.delete("t", "h")
        except NotFound:
            continue
        assert proof.remaining == 0
        removed.append(proof.turns)
    return removed


async def main(place: str, role: str, count: int) -> None:
    with opened(place) as store:
        histories = Histories(store, HashEncoder(), RetrievalProfile())
        if role == "delete":
            print(json.dumps(await delete(histories, count)))
        else:
            print(json.dumps(await ingest(histories, role, count)))


asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
