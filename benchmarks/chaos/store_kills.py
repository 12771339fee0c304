"""Kills a process in the middle of its writes, again and again, and looks what the store has then.

Every round a child ingests into, deletes from and reads one store, and tells of each thing that was
acknowledged to it. It is killed with SIGKILL at a random time, so nothing of it is cleaned up.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import sqlite3
import tempfile
import time
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from budgetmem.backbone import HashEncoder
from budgetmem.config import ChunkingProfile, RetrievalProfile
from budgetmem.errors import NotFound
from budgetmem.history import Histories
from budgetmem.store.sqlite import SqliteStore
from budgetmem.types import Turn

TENANT = "chaos"
HISTORIES = ("h0", "h1", "h2")
SESSIONS = 4
LONGEST_LIFE_S = 0.5

ADDED, ERASED, DROPPED, EMPTIED = "+", "-", "0", "*"
SHARES = {ADDED: 80, ERASED: 15, DROPPED: 5, EMPTIED: 2}
"""How often turns are added, turns erased, whole histories deleted, and all of the tenant's."""


@dataclass
class Ledger:
    """Ids of turns by history: what was acknowledged, and what it is `after` the last call of a
    killed child, which may have happened or not."""

    kept: dict[str, set[str]] = field(default_factory=lambda: {name: set() for name in HISTORIES})
    after: dict[str, set[str]] = field(default_factory=lambda: {name: set() for name in HISTORIES})


@dataclass(frozen=True)
class Verdict:
    """Over all rounds: calls that were acknowledged (a deletion of the tenant is one for each of
    its histories), turns that were lost or came back, histories in which a call happened by half,
    and those that could not be read, and kills after which a deletion of the tenant left files."""

    kills: int
    acknowledged: int
    lost: int
    resurrected: int
    torn: int
    damaged: int
    left: int

    @property
    def kept(self) -> bool:
        """Whether nothing of that happened."""
        return not (self.lost or self.resurrected or self.torn or self.damaged or self.left)


def run(root: Path, kills: int, seed: int = 0) -> Verdict:
    """`kills` rounds on one store in `root`."""
    draw, ledger = random.Random(seed), Ledger()
    acknowledged = lost = resurrected = torn = damaged = left = 0
    for number in range(kills):
        lines = _life(root, number, draw.random(), draw.uniform(0.0, LONGEST_LIFE_S))
        acknowledged += _book(ledger, lines)
        left += _leaves(root)
        found = _read(root)
        damaged += sum(turns is None for turns in found.values())
        for history, turns in found.items():
            there, before, after = turns or set(), ledger.kept[history], ledger.after[history]
            lost += len((before & after) - there)
            resurrected += len(there - (before | after))
            torn += there not in (before, after)
            # From here on it is known what became of the last call.
            ledger.kept[history] = ledger.after[history] = there
    return Verdict(kills, acknowledged, lost, resurrected, torn, damaged, left)


def _life(root: Path, number: int, seed: float, seconds: float) -> list[str]:
    """What a child told before it was killed. Its time begins with its first word."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        try:
            asyncio.run(_work(root, number, random.Random(seed), writer))
        finally:
            os._exit(1)
    os.close(writer)
    with os.fdopen(reader, "r", encoding="ascii") as told:
        first = told.readline()
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return [first, *told.readlines()]


async def _work(root: Path, number: int, draw: random.Random, writer: int) -> None:
    """Writes until it is killed; says what it is going to do, and then that it was done."""
    histories = opened(root)

    async def told(what: str, ids: Mapping[str, Sequence[str]], work: Awaitable[object]) -> None:
        for history, its in ids.items():
            _tell(writer, "begin", what, history, its)
        await work
        for history, its in ids.items():
            _tell(writer, "done", what, history, its)

    for call in range(1_000_000):
        history = draw.choice(HISTORIES)
        [what] = draw.choices([*SHARES], [*SHARES.values()])
        if what == ADDED:
            turns = [
                Turn(f"{number}.{call}.{place}", "Ana", _words(draw), None, _session(draw))
                for place in range(draw.randint(1, 6))
            ]
            added = {history: [turn.id for turn in turns]}
            await told(what, added, histories.ingest(TENANT, history, turns))
        elif what == EMPTIED:
            all_known = {name: await _ids(histories, name) for name in HISTORIES}
            await told(what, all_known, histories.delete_tenant(TENANT))
        elif len(known := await _ids(histories, history)) > 2:
            if what == DROPPED:
                await told(what, {history: known}, histories.delete(TENANT, history))
            else:
                some = draw.sample(known, 2)
                erased = histories.delete_turns(TENANT, history, some)
                await told(what, {history: some}, erased)


def opened(root: Path) -> Histories:
    """The histories in a folder, with the public fake encoder."""
    retrieval = RetrievalProfile(chunking=ChunkingProfile(neighbours=1))
    return Histories(SqliteStore(root), HashEncoder(), retrieval)


def _book(ledger: Ledger, lines: list[str]) -> int:
    """Books what was told; gives the number of acknowledged calls."""
    calls = [line.split() for line in lines if line.endswith("\n")]
    done = 0
    for step, what, history, *ids in calls:
        kept = ledger.kept[history]
        if step == "begin":
            ledger.after[history] = kept | set(ids) if what == ADDED else kept - set(ids)
        else:
            ledger.kept[history] = ledger.after[history]
            done += 1
    return done


def _read(root: Path) -> dict[str, set[str] | None]:
    """The ids of the turns of every history; None for one that is damaged."""
    store = SqliteStore(root)
    found: dict[str, set[str] | None] = {}
    for history in HISTORIES:
        try:
            ids = {turn.id for turn in store.turns(TENANT, history)}
        except NotFound:
            ids = set()
        except sqlite3.DatabaseError:
            found[history] = None
            continue
        found[history] = ids if all(_sound(root, history, ids)) else None
    return found


def _leaves(root: Path) -> bool:
    """Whether a deletion of the tenant leaves anything of it; in a copy, so that it goes on."""
    with tempfile.TemporaryDirectory(prefix="budgetmem-chaos-") as folder:
        copy = Path(folder, "copy")
        # Before anybody opens a file: that would put an end to the log of a killed process.
        shutil.copytree(root, copy)
        asyncio.run(opened(copy).delete_tenant(TENANT))
        return Path(copy, TENANT).exists()


def _sound(root: Path, history: str, ids: set[str]) -> Iterator[bool]:
    """SQLite's own check, and that every turn has one window and every window a turn."""
    for file in root.glob(f"{TENANT}/{history}.db"):
        # Closed before anything else reads the file, or the next child is made of this process: the
        # locks of a connection do not outlive either.
        with closing(sqlite3.connect(file)) as db:
            yield db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
            if ids:
                yield db.execute("SELECT count(*) FROM units").fetchone()[0] == len(ids)


async def _ids(histories: Histories, history: str) -> list[str]:
    try:
        return sorted([turn.id async for turn in histories.export(TENANT, history)])
    except NotFound:
        return []


def _tell(writer: int, step: str, what: str, history: str, ids: Sequence[str]) -> None:
    os.write(writer, f"{step} {what} {history} {' '.join(ids)}\n".encode("ascii"))


def _words(draw: random.Random) -> str:
    return " ".join(f"word{draw.randint(0, 500)}" for _ in range(draw.randint(1, 30)))


def _session(draw: random.Random) -> str:
    return f"s{draw.randrange(SESSIONS)}"
