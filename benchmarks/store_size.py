"""How many bytes a turn takes in a store, all told: turns, units, vectors, words, indexes.

    python -m benchmarks.store_size --turns 600 --store FOLDER_OR_URL --json

The turns are made up: as long as those of long chats (25 words), of a seeded vocabulary. A folder
is measured by its files, a database by `pg_total_relation_size` of the tables that hold histories,
after a VACUUM FULL; it should be one of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path

from budgetmem.backbone import HashEncoder
from budgetmem.config import RetrievalProfile
from budgetmem.history import Histories
from budgetmem.store.opening import is_url, opened
from budgetmem.types import Turn

WORDS_A_TURN = 25
"""Of LoCoMo's turns, about."""
TURNS_A_SESSION = 20
DIMENSION = 384
"""Of all-MiniLM-L6-v2, the encoder of every bundled profile."""
VOCABULARY = 8000
TABLES = ("histories", "sessions", "turns", "units", "vectors", "words")


@dataclass(frozen=True)
class Measured:
    """Of one history. `bytes_a_turn` is what a turn adds; `fixed` is what there is without any."""

    store: str
    turns: int
    text_bytes_a_turn: float
    bytes_a_turn: float
    fixed: int


def main() -> None:
    """Prints what was measured."""
    args = _arguments()
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(measure(args.store or folder, args.turns))
    said = f"{found.store}: {found.bytes_a_turn:.0f} bytes a turn, {found.fixed} fixed"
    print(json.dumps(asdict(found)) if args.json else said)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--turns", type=int, default=600)
    parser.add_argument("--store", help="default: a folder that is removed afterwards")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


async def measure(where: str, turns: int) -> Measured:
    """Ingests one turn, then the others, and looks at the size after either."""
    made = [*conversation(turns)]
    sizes = []
    for part in (made[:1], made):
        with opened(where) as store:
            histories = Histories(store, HashEncoder(DIMENSION), RetrievalProfile())
            await histories.ingest("tenant", "history", part)
        sizes.append(size_of(where))
    text = sum(len(turn.text.encode()) for turn in made) / turns
    grown = (sizes[1] - sizes[0]) / (turns - 1)
    kind = "postgresql" if is_url(where) else "sqlite"
    return Measured(kind, turns, text, grown, round(sizes[0] - grown))


def conversation(turns: int) -> Iterator[Turn]:
    """Turns of two people; the same for the same number."""
    draw = random.Random(0)
    words = [
        "".join(draw.choices("aeiounrstlkdm", k=draw.randint(2, 9))) for _ in range(VOCABULARY)
    ]
    start = datetime(2024, 1, 1)
    for number in range(turns):
        said = " ".join(draw.choices(words, k=WORDS_A_TURN))
        session = f"s{number // TURNS_A_SESSION:04}"
        time = start + timedelta(hours=number)
        yield Turn(f"t{number:06}", ("Ana", "Ben")[number % 2], said, time, session)


def size_of(where: str) -> int:
    """Bytes on disk, or of a database's tables with their indexes and what they keep aside."""
    if not is_url(where):
        return sum(path.stat().st_size for path in Path(where).rglob("*") if path.is_file())
    import psycopg  # noqa: PLC0415 - an extra

    with psycopg.connect(where, autocommit=True) as db:
        db.execute("VACUUM FULL")
        query = (
            "SELECT sum(pg_total_relation_size(to_regclass(name))) FROM unnest(%s::text[]) AS name"
        )
        row = db.execute(query, [list(TABLES)]).fetchone()
    return int(row[0]) if row else 0


if __name__ == "__main__":
    main()
