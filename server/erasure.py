"""Deletions that reach everything this process keeps, and leave a record that they were made, also
those whose callers do not wait for the end.

A record names tenant and history by their hashes: who knows a name finds its records, and who does
not learns none.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Protocol

from budgetmem.aside import Aside
from budgetmem.errors import BudgetMemError
from budgetmem.history import IngestReport
from budgetmem.store.base import DeletionProof, HistoryInfo, OnDeleted
from budgetmem.store.paths import sync_folder
from budgetmem.types import Turn
from server.engine import DeletingHistories
from server.errands import Errands

logger = logging.getLogger(__name__)


def _now() -> datetime:
    return datetime.now(timezone.utc)


class Records(Protocol):
    """Where records of deletions are kept (also `budgetmem.store.postgres.store.PostgresStore`)."""

    def keep_record(self, line: str) -> None:
        """When it returns, the line is on disk. Raises OSError or a BudgetMemError."""
        ...


@dataclass(frozen=True)
class RecordFile:
    """A file that only grows."""

    file: Path

    def keep_record(self, line: str) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "rb+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            # What a full disk or a power cut left half written stays a line of its own.
            size = file.seek(0, os.SEEK_END)
            torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
            file.write(("\n" * torn + f"{line}\n").encode())
            file.flush()
            os.fsync(descriptor)
        sync_folder(self.file.parent)


@dataclass(frozen=True)
class ErasureLog:
    """A JSON line for each deletion. `clock` tells the time."""

    records: Records
    clock: Callable[[], datetime] = _now

    def add(self, scope: str, proof: DeletionProof, *, complete: bool = True, **names: str) -> str:
        """Writes a record to disk, and gives its name; "" if it cannot be written.

        The deletion was made all the same, and is not to be reported as failed. One that is not
        `complete` failed later. `names` are kept as hashes.
        """
        record = secrets.token_hex(8)
        hashes = {
            f"{what}_sha256": hashlib.sha256(name.encode()).hexdigest()
            for what, name in names.items()
        }
        counts = {key: value for key, value in asdict(proof).items() if key != "record"}
        told = {
            "record": record,
            "at": self.clock().isoformat(),
            "scope": scope,
            "complete": complete,
        }
        line = json.dumps({**told, **hashes, **counts})
        try:
            self.records.keep_record(line)
        except (OSError, BudgetMemError):
            logger.exception("the record of a deletion cannot be written")
            return ""
        return record


Deletion = Callable[[OnDeleted], Awaitable[DeletionProof]]
"""Is told where to say what it has done so far."""


@dataclass(frozen=True)
class ErasingHistories:
    """Histories whose deletions are recorded, and also empty the models' memories of recent texts
    by `forget`.

    A deletion and its record are one of the `errands`: threads that delete do not stop when their
    caller leaves, so neither may what comes after them. Raises Overloaded if they are too many.
    Records are written on `threads`, by default those of asyncio.
    """

    inner: DeletingHistories
    forget: Callable[[str], None]
    log: ErasureLog
    errands: Errands = field(default_factory=Errands)
    threads: Executor | None = None

    async def ingest(self, tenant: str, history: str, turns: Sequence[Turn]) -> IngestReport:
        return await self.inner.ingest(tenant, history, turns)

    async def list(self, tenant: str) -> Sequence[str]:
        return await self.inner.list(tenant)

    async def info(self, tenant: str, history: str) -> HistoryInfo:
        return await self.inner.info(tenant, history)

    def export(self, tenant: str, history: str) -> AsyncIterator[Turn]:
        return self.inner.export(tenant, history)

    async def delete(self, tenant: str, history: str) -> DeletionProof:
        return await self._erase(
            "history",
            lambda on_deleted: self.inner.delete(tenant, history, on_deleted),
            tenant,
            history=history,
        )

    async def delete_turns(
        self, tenant: str, history: str, turn_ids: Collection[str]
    ) -> DeletionProof:
        return await self._erase(
            "turns",
            lambda on_deleted: self.inner.delete_turns(tenant, history, turn_ids, on_deleted),
            tenant,
            history=history,
        )

    async def delete_tenant(self, tenant: str) -> DeletionProof:
        return await self._erase(
            "tenant", lambda on_deleted: self.inner.delete_tenant(tenant, on_deleted), tenant
        )

    async def _erase(
        self, scope: str, delete: Deletion, tenant: str, **names: str
    ) -> DeletionProof:
        work = partial(self._recorded, scope, delete, tenant, **names)
        return await self.errands.run(tenant, work)

    async def _recorded(
        self, scope: str, delete: Deletion, tenant: str, **names: str
    ) -> DeletionProof:
        parts: list[DeletionProof] = []
        proof = None
        try:
            proof = await delete(parts.append)
        finally:
            # Also of what failed: nobody knows how far it came.
            self.forget(tenant)
            if proof is None and parts:
                done = sum(parts, DeletionProof(0, 0, 0, 0))
                await self._add(scope, done, complete=False, tenant=tenant, **names)
        record = await self._add(scope, proof, complete=True, tenant=tenant, **names)
        return replace(proof, record=record)

    async def _add(self, scope: str, proof: DeletionProof, *, complete: bool, **names: str) -> str:
        write = Aside(self.threads, time.monotonic)
        return await write(self.log.add, scope, proof, complete=complete, **names)
