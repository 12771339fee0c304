"""API keys: made, and verified.

A key is `bmk_ID_SECRET`. The ID finds its record and is no secret; the SECRET is 256 random bits.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timezone
from pathlib import Path

from server.security.key_file import KeyRecord, read_keys
from server.security.principal import Principal, Scope
from server.security.watched import Watched

PREFIX = "bmk_"
ID_BYTES = 6
SECRET_BYTES = 32
NOBODY = "0" * 64
"""Compared with where there is no record, so that an unknown ID takes as long as a known one."""


def utc_now() -> datetime:
    """The time, with its offset."""
    return datetime.now(timezone.utc)


def new_key(
    tenant: str,
    scopes: Iterable[Scope],
    created: datetime,
    expires: datetime | None = None,
    note: str = "",
    *,
    random_bytes: Callable[[int], bytes] = secrets.token_bytes,
) -> tuple[str, KeyRecord]:
    """A key, which is nowhere kept, and its record."""
    key_id = random_bytes(ID_BYTES).hex()
    key = f"{PREFIX}{key_id}_{random_bytes(SECRET_BYTES).hex()}"
    record = KeyRecord(
        id=key_id,
        sha256=_hash(key),
        tenant=tenant,
        scopes=tuple(sorted(set(scopes))),
        created=created,
        expires=expires,
        note=note,
    )
    return key, record


class ApiKeys:
    """Verifies keys against a file of records, which is read again when it changes.

    `now` tells the time that expiry is compared with, `clock` (seconds) when to look at the file.
    """

    def __init__(
        self,
        path: Path,
        *,
        now: Callable[[], datetime] = utc_now,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._now = now
        self._records: Watched[Mapping[str, KeyRecord]] = Watched(
            [path], lambda: {record.id: record for record in read_keys(path)}, clock=clock
        )

    async def authenticate(self, credential: str) -> Principal | None:
        """Whose key it is; None for one that is unknown, expired or revoked."""
        if not credential.startswith(PREFIX):
            return None
        record = self._records.value.get(credential.removeprefix(PREFIX).partition("_")[0])
        expected = NOBODY if record is None else record.sha256
        same = hmac.compare_digest(_hash(credential), expected)
        if record is None or not same or record.state(self._now()) != "active":
            return None
        return Principal(record.tenant, frozenset(record.scopes), f"key {record.id}")


def _hash(key: str) -> str:
    # Slow hashes and salts are for what people choose: nobody can guess 256 random bits, however
    # fast the hash is, and every call pays for it.
    return hashlib.sha256(key.encode()).hexdigest()
