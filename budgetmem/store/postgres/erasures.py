"""What replicas tell each other of deletions, so that none keeps in memory what another erased."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable
from typing import Any, Protocol

import psycopg

from budgetmem.store.postgres.database import AWAY, Connection, shown, with_settings

logger = logging.getLogger(__name__)

_CHANNEL = "budgetmem_erased"

_PATIENCE_S = 5.0
"""Before a lost connection is made again."""


def tell(db: Connection, tenant: str) -> None:
    """Tells the other replicas, when the caller's transaction is committed and not before."""
    db.execute("SELECT pg_notify(%s, %s)", (_CHANNEL, tenant))


class Connect(Protocol):
    """Opens a connection, as `psycopg.AsyncConnection.connect` does."""

    def __call__(
        self, conninfo: str, /, *, autocommit: bool, application_name: str
    ) -> Awaitable[psycopg.AsyncConnection[Any]]: ...


async def erased(
    url: str,
    patience_s: float = _PATIENCE_S,
    connect: Connect = psycopg.AsyncConnection.connect,
) -> AsyncGenerator[str | None, None]:
    """Tenants of whom something was erased, by whichever replica, for ever.

    None first, and whenever the connection was lost: somebody's may have been missed. A database
    that is away, or a standby, is tried again every `patience_s` seconds.
    """
    while True:
        try:
            async with await connect(
                with_settings(url), autocommit=True, application_name="budgetmem-erasures"
            ) as db:
                await db.execute(f"LISTEN {_CHANNEL}")
                yield None
                async for heard in db.notifies():
                    yield heard.payload
        except AWAY as exc:
            logger.warning("%s: deletions of other replicas are not heard: %s", shown(url), exc)
        await asyncio.sleep(patience_s)
