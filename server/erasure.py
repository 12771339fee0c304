"""Deletions that reach everything this process keeps, and leave a record that they were made.

A record names tenant and history by their hashes: who knows a name finds its records, and who does
not learns none.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import secrets
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Protocol

from budgetmem.errors import StoreUnavailable
from budgetmem.history import IngestReport
from budgetmem.store.base import DeletionProof, HistoryInfo
from budgetmem.types import Turn
from server.engine import Histories

logger = logging.getLogger(__name__)


def _now() -> datetime:
    return datetime.now(timezone.utc)


class Records(Protocol):
    """Where records of deletions are kept (also `budgetmem.store.postgres.store.PostgresStore`)."""

    def keep_record(self, line: str) -> None:
        """When it returns, the line is on disk. Raises OSError or StoreUnavailable."""
        ...


@dataclass(frozen=True)
class RecordFile:
    """A file that only grows."""

    file: Path

    def keep_record(self, line: str) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, f"{line}\n".encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@dataclass(frozen=True)
class ErasureLog:
    """A JSON line for each deletion. `clock` tells the time."""

    records: Records
    clock: Callable[[], datetime] = _now

    def add(self, scope: str, proof: DeletionProof, **names: str) -> str:
        """Writes a record to disk, and gives its name; "" if it cannot be written.

        The deletion was made all the same, and is not to be reported as failed. `names` are kept as
        hashes.
        """
        record = secrets.token_hex(8)
        hashes = {
            f"{what}_sha256": hashlib.sha256(name.encode()).hexdigest()
            for what, name in names.items()
        }
        counts = {key: value for key, value in asdict(proof).items() if key != "record"}
        told = {"record": record, "at": self.clock().isoformat(), "scope": scope}
        line = json.dumps({**told, **hashes, **counts})
        try:
            self.records.keep_record(line)
        except (OSError, StoreUnavailable):
            logger.exception("the record of a deletion cannot be written")
            return ""
        return record


@dataclass(frozen=True)
class ErasingHistories:
    """Histories whose deletions are recorded, and also empty the models' memories of recent texts
    by `forget`."""

    inner: Histories
    forget: Callable[[str], None]
    log: ErasureLog

    async def ingest(self, tenant: str, history: str, turns: Sequence[Turn]) -> IngestReport:
        return await self.inner.ingest(tenant, history, turns)

    async def list(self, tenant: str) -> Sequence[str]:
        return await self.inner.list(tenant)

    async def info(self, tenant: str, history: str) -> HistoryInfo:
        return await self.inner.info(tenant, history)

    def export(self, tenant: str, history: str) -> AsyncIterator[Turn]:
        return self.inner.export(tenant, history)

    async def delete(self, tenant: str, history: str) -> DeletionProof:
        proof = await self.inner.delete(tenant, history)
        return await self._recorded("history", proof, tenant=tenant, history=history)

    async def delete_turns(
        self, tenant: str, history: str, turn_ids: Collection[str]
    ) -> DeletionProof:
        proof = await self.inner.delete_turns(tenant, history, turn_ids)
        return await self._recorded("turns", proof, tenant=tenant, history=history)

    async def delete_tenant(self, tenant: str) -> DeletionProof:
        proof = await self.inner.delete_tenant(tenant)
        return await self._recorded("tenant", proof, tenant=tenant)

    async def _recorded(
        self, scope: str, proof: DeletionProof, tenant: str, **names: str
    ) -> DeletionProof:
        self.forget(tenant)
        record = await asyncio.to_thread(self.log.add, scope, proof, tenant=tenant, **names)
        return replace(proof, record=record)
