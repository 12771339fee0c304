"""Kills a process in the middle of its writes, again and again, and looks what the store has then.

Every round a child ingests into, deletes from and reads one store, and tells of each thing that was
acknowledged to it. It is killed with SIGKILL at a random time, so nothing of it is cleaned up.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
import time
from collections.abc import Iterator
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

ADDED, ERASED = "+", "-"


@dataclass
class Ledger:
    """What was acknowledged: ids of turns by history. In `doubt` are those of the last calls of
    killed children, which may have happened or not."""

    kept: dict[str, set[str]] = field(default_factory=lambda: {name: set() for name in HISTORIES})
    doubt: dict[str, set[str]] = field(default_factory=lambda: {name: set() for name in HISTORIES})


@dataclass(frozen=True)
class Verdict:
    """Over all rounds: calls that were acknowledged, turns that were lost or came back, histories
    that could not be read."""

    kills: int
    acknowledged: int
    lost: int
    resurrected: int
    damaged: int


def run(root: Path, kills: int, seed: int = 0) -> Verdict:
    """`kills` rounds on one store in `root`."""
    draw, ledger = random.Random(seed), Ledger()
    acknowledged = lost = resurrected = damaged = 0
    for number in range(kills):
        lines = _life(root, number, draw.random(), draw.uniform(0.0, LONGEST_LIFE_S))
        acknowledged += _book(ledger, lines)
        found = _read(root)
        damaged += sum(turns is None for turns in found.values())
        for history, turns in found.items():
            there = turns or set()
            lost += len(ledger.kept[history] - ledger.doubt[history] - there)
            resurrected += len(there - ledger.kept[history] - ledger.doubt[history])
            # From here on it is known what became of the last call.
            ledger.kept[history], ledger.doubt[history] = there, set()
    return Verdict(kills, acknowledged, lost, resurrected, damaged)


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
    for call in range(1_000_000):
        history = draw.choice(HISTORIES)
        if draw.random() < 0.8:
            turns = [
                Turn(f"{number}.{call}.{place}", "Ana", _words(draw), None, _session(draw))
                for place in range(draw.randint(1, 6))
            ]
            ids = [turn.id for turn in turns]
            _tell(writer, "begin", ADDED, history, ids)
            await histories.ingest(TENANT, history, turns)
            _tell(writer, "done", ADDED, history, ids)
        else:
            ids = draw.sample(known, 2) if len(known := await _ids(histories, history)) > 2 else []
            if ids:
                _tell(writer, "begin", ERASED, history, ids)
                await histories.delete_turns(TENANT, history, ids)
                _tell(writer, "done", ERASED, history, ids)


def opened(root: Path) -> Histories:
    """The histories in a folder, with the public fake encoder."""
    retrieval = RetrievalProfile(chunking=ChunkingProfile(neighbours=1))
    return Histories(SqliteStore(root), HashEncoder(), retrieval)


def _book(ledger: Ledger, lines: list[str]) -> int:
    """Books what was told; gives the number of acknowledged calls."""
    calls = [line.split() for line in lines if line.endswith("\n")]
    done = 0
    for step, what, history, *ids in calls:
        if step == "begin":
            ledger.doubt[history] |= set(ids)
            continue
        done += 1
        ledger.doubt[history] -= set(ids)
        if what == ADDED:
            ledger.kept[history] |= set(ids)
        else:
            ledger.kept[history] -= set(ids)
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


def _sound(root: Path, history: str, ids: set[str]) -> Iterator[bool]:
    """SQLite's own check, and that every turn has one window and every window a turn."""
    for file in root.glob(f"{TENANT}/{history}.db"):
        with sqlite3.connect(file) as db:
            yield db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
            if ids:
                yield db.execute("SELECT count(*) FROM units").fetchone()[0] == len(ids)


async def _ids(histories: Histories, history: str) -> list[str]:
    try:
        return sorted([turn.id async for turn in histories.export(TENANT, history)])
    except NotFound:
        return []


def _tell(writer: int, step: str, what: str, history: str, ids: list[str]) -> None:
    os.write(writer, f"{step} {what} {history} {' '.join(ids)}\n".encode("ascii"))


def _words(draw: random.Random) -> str:
    return " ".join(f"word{draw.randint(0, 500)}" for _ in range(draw.randint(1, 30)))


def _session(draw: random.Random) -> str:
    return f"s{draw.randrange(SESSIONS)}"
