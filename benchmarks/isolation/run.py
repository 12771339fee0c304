"""The server, the tenants and their keys, and all their calls side by side."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

from benchmarks.isolation.calls import ACTIONS, HISTORIES, MARK, Report, Tenant, export, listing
from budgetmem.backbone import HashEncoder, ModelSet, ScriptedBackbone, ScriptedTagger
from budgetmem.client import AsyncClient
from budgetmem.config import load_profile
from budgetmem.errors import BudgetMemError, PermissionDenied, Unauthenticated
from budgetmem.scheduling.models import ScheduledModels
from server.assembly import build_engine, open_scheduler
from server.doors import Doors
from server.security.api_keys import ApiKeys, new_key
from server.security.key_file import change_keys
from server.security.options import KEYS_FILE
from server.security.principal import Scope
from server.security.security import guarded
from server.security.tenants import Tenants

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Keys:
    """The keys of one tenant: to read, to read and write, and one that was revoked."""

    reading: str
    writing: str
    revoked: str


async def isolation(
    calls: int, tenants: int, seed: int, data_dir: Path, source: Tenants | None = None
) -> Report:
    """Makes `calls` calls in all, the tenants side by side. Each tenant's are drawn from the seed.

    `source` takes the place of what tells tenants apart, to see that a fault of it is found.
    """
    report, begin = Report(), time.monotonic()
    # Before the server is there: it would see new keys only a second later.
    keys = [_made_keys(data_dir / KEYS_FILE, _name(number)) for number in range(tenants)]
    async with AsyncExitStack() as stack:
        address = await stack.enter_async_context(_served(data_dir, report, source))

        async def client(key: str, tenant: str | None = None) -> AsyncClient:
            opened = AsyncClient(address, api_key=key, tenant=tenant, timeout_s=300)
            return await stack.enter_async_context(opened)

        everyone = [
            await _joined(number, seed, keys[number], _name((number + 1) % tenants), client)
            for number in range(tenants)
        ]
        shares = [calls // tenants + (number < calls % tenants) for number in range(tenants)]
        await asyncio.gather(
            *(_live(each, share, report) for each, share in zip(everyone, shares, strict=True))
        )
        for tenant in everyone:
            await listing(tenant, "", report)
            for history in HISTORIES:
                await export(tenant, history, report)
    report.seconds = time.monotonic() - begin
    return report


async def _live(tenant: Tenant, calls: int, report: Report) -> None:
    for _ in range(calls):
        (act,) = tenant.rng.choices([*ACTIONS], [*ACTIONS.values()])
        report.calls[getattr(act, "__name__", "")] += 1
        try:
            await act(tenant, tenant.rng.choice(HISTORIES), report)
        except BudgetMemError as exc:
            # None of a tenant's own calls fails while nobody meddles with what it has.
            report.violations.append(f"{tenant.mark}: {exc!r}")


@asynccontextmanager
async def _served(data_dir: Path, report: Report, source: Tenants | None) -> AsyncIterator[str]:
    """The address of a server with a gate."""
    profile = load_profile("tiny")

    def reply(prompt: str) -> str:
        marks = set(MARK.findall(prompt))
        report.check(len(marks) <= 1, f"one prompt with texts of {sorted(marks)}")
        # Whatever it read comes out again, so that it is seen where it does not belong.
        lines = [line.strip() for line in prompt.splitlines() if "mark" in line]
        return json.dumps({"quotes": lines[:5]}) if "Reply as JSON" in prompt else " ".join(lines)

    models = ModelSet(
        {"all": ScriptedBackbone(reply)},
        HashEncoder(name=profile.encoder.asset),
        ScriptedTagger(name=profile.tagger.asset),
    )
    security = guarded(ApiKeys(data_dir / KEYS_FILE))
    doors = Doors(security=security if source is None else replace(security, tenants=source))
    async with open_scheduler(profile) as scheduler:
        scheduled = ScheduledModels(models, scheduler)
        engine = build_engine(profile, scheduled, data_dir, scheduled.forget, scheduler=scheduler)
        port = await doors.open(HOST, 0)
        await doors.serve(engine)
        try:
            yield f"{HOST}:{port}"
        finally:
            await doors.close(0)


async def _joined(
    number: int, seed: int, keys: Keys, other: str, client: Callable[..., Awaitable[AsyncClient]]
) -> Tenant:
    """A tenant, with clients of it that should not get far: `other` is a tenant that it is not."""
    reader = await client(keys.reading)
    return Tenant(
        number,
        random.Random(f"{seed} {number}"),
        await client(keys.writing),
        reader,
        (
            (PermissionDenied, reader),
            (PermissionDenied, await client(keys.writing, other)),
            (Unauthenticated, await client(keys.revoked)),
        ),
    )


def _name(number: int) -> str:
    return f"tenant{number}"


def _made_keys(path: Path, tenant: str) -> Keys:
    now = datetime.now(timezone.utc)
    (reading, first), (writing, second), (revoked, third) = (
        new_key(tenant, scopes, now)
        for scopes in ([Scope.READ], [Scope.READ, Scope.WRITE], [Scope.READ, Scope.WRITE])
    )
    records = (first, second, third.model_copy(update={"revoked": now}))
    change_keys(path, lambda keys: (*keys, *records))
    return Keys(reading, writing, revoked)
