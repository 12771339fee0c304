"""What the load goes to: a server of this benchmark's own, or one that is named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from budgetmem.client.aio import AsyncClient
from budgetmem.types import Turn
from server import child
from server.child import Served

DRAIN_S = 2


def serving(
    profile: str, data_dir: Path, errors: int | None = None
) -> AbstractContextManager[Served]:
    """A server of this profile with histories in `data_dir`; as `server.child.serving`."""
    # Loads are measured on tiers that do not depend on what a router was trained on.
    options = ["--profile", profile, "--json-logs", "--no-bundled-routers"]
    options += ["--data-dir", str(data_dir), "--drain", str(DRAIN_S)]
    return child.serving(*options, errors=errors)


async def ingest(
    server: str, tenants: Sequence[str], histories: Mapping[str, Sequence[Turn]]
) -> None:
    """Every tenant gets every history; what is there already stays as it is."""
    for tenant in tenants:
        async with AsyncClient(server, tenant=tenant) as client:
            for history, turns in histories.items():
                await client.ingest(history, turns)
