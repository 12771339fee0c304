"""The contract of a store of histories: what is kept, and what is promised about it.

A history belongs to one tenant and holds turns, and the units of retrieval made from them, each
with its vector. The calls block: asyncio callers use `asyncio.to_thread`. A store may be shared
by threads and by processes.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from budgetmem.backbone import Vectors
from budgetmem.chunking import Unit
from budgetmem.errors import Conflict, HistoryFull, NotFound
from budgetmem.ranking import Ranked
from budgetmem.types import Turn


@dataclass(frozen=True)
class Settings:
    """What the units of a history were made with. `chunking` is a ChunkingProfile as JSON."""

    encoder: str
    dimension: int
    chunking: str


@dataclass(frozen=True)
class HistoryInfo:
    """Counts of one history. `first` and `last` are the earliest and latest time of its turns.

    Of one that is `damaged` nothing is known.
    """

    history: str
    settings: Settings
    sessions: int
    turns: int
    units: int
    first: datetime | None
    last: datetime | None
    damaged: bool = False

    @classmethod
    def of_damaged(cls, history: str) -> HistoryInfo:
        """What is said of a history that cannot be read."""
        return cls(history, Settings("", 0, ""), 0, 0, 0, None, None, damaged=True)


@dataclass(frozen=True)
class Size:
    """How much a history holds, or may hold: turns, and bytes of UTF-8 of all their texts."""

    turns: int
    bytes: int


@dataclass(frozen=True)
class SessionState:
    """A session as it was read: `version` grows with every write, 0 means it does not exist."""

    version: int = 0
    turns: tuple[Turn, ...] = ()
    unit_ids: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Snapshot:
    """What an ingest needs to know of a history, read in one transaction.

    `epoch` names this life of the history: it is None if the history does not exist, and another
    after it was deleted. `known` are the asked-for turns that exist already, by id.
    """

    epoch: str | None = None
    settings: Settings | None = None
    known: Mapping[str, Turn] = field(default_factory=dict)
    sessions: Mapping[str, SessionState] = field(default_factory=dict)


def known_turns(
    wanted: Collection[str], sessions: Mapping[str, SessionState], others: Iterable[Turn]
) -> dict[str, Turn]:
    """The wanted turns by id: those of the sessions, which are in memory already, and `others`."""
    ids = frozenset(wanted)
    read = (turn for state in sessions.values() for turn in state.turns if turn.id in ids)
    return {turn.id: turn for turn in chain(read, others)}


def first_version() -> int:
    """Of a session that is made: no other's of its name.

    One that was emptied and made anew would else have the versions of its former life once more,
    and a write that was planned in that one would bring back what was erased with it.
    """
    return 1 + secrets.randbits(62)


@dataclass(frozen=True)
class SessionChange:
    """New turns of a session, and the units that are added (with float32 vectors) and taken away.

    `version` is that of the session it was planned for; None for one that nobody else can have
    written to, as the same write makes its history. `erased` are the ids of turns that go.
    """

    session: str
    version: int | None
    turns: tuple[Turn, ...]
    added: tuple[tuple[Unit, Vectors], ...]
    removed: frozenset[str]
    erased: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Hits:
    """The best units of a search, best first in each ranking, and what they hold.

    `sessions` are all sessions of the history in time order, by arrival where no time is known.
    """

    settings: Settings
    dense: tuple[Ranked, ...]
    keyword: tuple[Ranked, ...]
    units: Mapping[str, Unit]
    sessions: tuple[str, ...]


@dataclass(frozen=True)
class Contents:
    """All of one history: turns in order of arrival, units with their vectors, and its sessions in
    time order, by arrival where no time is known."""

    settings: Settings
    sessions: tuple[str, ...]
    turns: tuple[Turn, ...]
    units: tuple[tuple[Unit, Vectors], ...]


@dataclass(frozen=True)
class DeletionProof:
    """What a deletion removed, and what a scan found afterwards: rows, or files of the history.

    `histories` were removed whole. `record` names what was written down of it, "" if nothing was.
    """

    turns: int
    chunks: int
    vectors: int
    remaining: int
    histories: int = 0
    record: str = ""

    def __add__(self, other: DeletionProof) -> DeletionProof:
        return DeletionProof(
            self.turns + other.turns,
            self.chunks + other.chunks,
            self.vectors + other.vectors,
            self.remaining + other.remaining,
            self.histories + other.histories,
        )


OnDeleted = Callable[[DeletionProof], None]
"""Is told of each thing that went, before it is looked what is left."""


def unheard(proof: DeletionProof) -> None:
    """An OnDeleted for those who wait for the proof that is returned."""


class Busy(Conflict):
    """Somebody else holds the history. Nothing was done: the same call may be made again."""


class Store(Protocol):
    """Histories by tenant and name.

    Every method raises InvalidInput for a name that cannot be kept, ConfigError for data of a
    newer version of the store than this code knows, StoreUnavailable where a database behind it
    cannot be reached, or its disk is full or fails, Busy where somebody else holds the history, and
    StoreDamaged for a history whose file is not what was written, except for `delete`, and for a
    database whose pages are not.
    """

    def tenants(self) -> list[str]:
        """Names of those who have histories that hold turns, sorted."""
        ...

    def histories(self, tenant: str) -> Iterator[str]:
        """Names of the tenant's histories that hold turns, sorted, with those that are damaged;
        each is looked at when it is asked for, and nothing is held between them."""
        ...

    def info(self, tenant: str, history: str) -> HistoryInfo:
        """Raises NotFound if the history does not exist or holds no turns."""
        ...

    def snapshot(
        self, tenant: str, history: str, sessions: Collection[str], turn_ids: Collection[str]
    ) -> Snapshot:
        """The named sessions and turns; an empty snapshot if the history does not exist."""
        ...

    def sessions_of(self, tenant: str, history: str, turn_ids: Collection[str]) -> list[str]:
        """Names of the sessions that hold any of these turns, sorted. No turn is read."""
        ...

    def size_of(
        self, tenant: str, history: str, sessions: Collection[str], turn_ids: Collection[str]
    ) -> Size:
        """How much a snapshot of these sessions and turns would take, without reading them: nothing
        where there are none."""
        ...

    def write(
        self,
        tenant: str,
        history: str,
        epoch: str | None,
        settings: Settings,
        changes: Sequence[SessionChange],
        *,
        rebuild: bool = False,
        most: Size | None = None,
        on_written: Callable[[], None] = lambda: None,
    ) -> None:
        """Writes all changes, or nothing; when it returns, they are on disk, and no call finds
        what was erased.

        Creates the history if `epoch` is None. `rebuild` drops every unit first and records the
        settings anew; `changes` must then cover every session. Raises Conflict if the history was
        created, deleted or one of the sessions written to since the snapshot: take a new one and
        try again. Raises HistoryFull if it would then hold more than `most`. `on_written` is called
        once it cannot be undone any more: something may fail after that, such as a file's removal.
        """
        ...

    def search(
        self,
        tenant: str,
        history: str,
        vector: NDArray[np.float32] | None,
        words: Sequence[str],
        limit: int,
    ) -> Hits:
        """Ranks by inner product with `vector` [dimension] and by BM25 over `words`.

        At most `limit` units in each ranking; None or no words leave a ranking empty. Raises
        NotFound as `info` does.
        """
        ...

    def vectors(self, tenant: str, history: str, ids: Collection[str]) -> Mapping[str, Vectors]:
        """The vectors of the named units that (still) exist, by id. Raises NotFound."""
        ...

    def turns(self, tenant: str, history: str) -> Iterator[Turn]:
        """All turns in order of arrival. Raises NotFound as `info` does.

        They are read in pages (`budgetmem.store.paging`), the first at once, and nothing is held
        between them: turns that are written or erased meanwhile may be among them or not. The
        iterator raises Conflict if the history was deleted and made again meanwhile.
        """
        ...

    def contents(self, tenant: str, history: str) -> Contents:
        """The whole history, read in one transaction. Raises NotFound as `info` does."""
        ...

    def traces(self, tenant: str, history: str, turn_ids: Collection[str]) -> int:
        """In how many rows these turns still are: as turns, or as lines of units; and one more if
        another program keeps what was erased in a log of the history's file. 0 if the history does
        not exist."""
        ...

    def delete(
        self,
        tenant: str,
        history: str,
        on_deleted: OnDeleted = unheard,
    ) -> DeletionProof:
        """Removes the history and everything made from it, also one that is damaged, whose turns
        the proof does not count. `on_deleted` is told what went before it is looked what is left,
        which may fail. Raises NotFound as `info` does; then nothing is left of it either."""
        ...

    def sweep(self, tenant: str) -> None:
        """Removes what processes left of a tenant that were killed: histories that were never
        filled, or whose turns are gone. Raises Busy as writing does."""
        ...


def check_size(history: str, size: Size, most: Size) -> None:
    """Raises HistoryFull if a history holds more than `most`."""
    if size.turns > most.turns:
        found = f"{size.turns:,} turns, {most.turns:,} are the most"
    elif size.bytes > most.bytes:
        found = f"{size.bytes:,} bytes of text, {most.bytes:,} are the most"
    else:
        return
    raise HistoryFull(
        "turns", f"with them history {history!r} would hold {found}; none of them was added"
    )


def not_found(history: str) -> NotFound:
    """What every method says of a history that does not exist, or holds no turns."""
    return NotFound(f"no history {history!r}, or it is empty")
