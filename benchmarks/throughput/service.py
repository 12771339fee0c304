"""The real service on a free port, whose engine is exchanged from row to row."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.load.generator import status_of
from benchmarks.load.measures import OK
from benchmarks.throughput.layers import PLACE, Layered, unanswered
from benchmarks.throughput.rows import Row
from benchmarks.throughput.tally import Counted, Tally
from benchmarks.throughput.workloads import Query, Workload
from budgetmem.backbone import Models
from budgetmem.client.aio import AsyncClient
from budgetmem.config import Profile
from budgetmem.errors import BudgetMemError
from budgetmem.types import Budget, Turn
from server.assembly import build_engine
from server.doors import Doors

TENANT = "benchmark"
HOST = "127.0.0.1"
SALT_DIGITS = 8


def new_salt() -> str:
    """Decimal digits: tokenizers that read digit by digit make as many tokens of any salt."""
    return f"{secrets.randbelow(10**SALT_DIGITS):0{SALT_DIGITS}d}"


def salted(profile: Profile, salt: str) -> Profile:
    """The profile with a salt at the beginning of every prompt, behind the template's head.

    An engine's prefix cache then knows nothing of prompts with another salt.
    """
    backbones = {
        key: each.model_copy(
            update={"template": each.template.replace(PLACE, f"{salt}\n{PLACE}", 1)}
        )
        for key, each in profile.backbones.items()
    }
    return profile.model_copy(update={"backbones": backbones})


@dataclass
class Run:
    """One row at work: asks its queries, and what came of it."""

    client: AsyncClient
    strategy: str
    queries: Sequence[Query]
    timeout_s: float
    tally: Tally
    fallbacks: Counter[str] = field(default_factory=Counter)

    async def ask(self, tenant: str, number: int) -> str:
        """Extracts the memory for one query, and returns the status."""
        query = self.queries[number]
        try:
            memory = await self.client.extract(
                query.history,
                query.text,
                strategy=self.strategy,
                budget=Budget(tiers=query.tiers),
                timeout_s=self.timeout_s,
            )
        except BudgetMemError as exc:
            return status_of(exc)
        self.fallbacks.update(step.module for step in memory.receipt.steps if step.fallbacks)
        return OK


@dataclass(frozen=True)
class Service:
    """Open doors, a client of theirs, and the models that the rows make their calls to."""

    profile: Profile
    models: Models
    workload: Workload
    data_dir: Path
    timeout_s: float
    doors: Doors
    client: AsyncClient

    @classmethod
    @asynccontextmanager
    async def opened(
        cls,
        profile: Profile,
        models: Models,
        workload: Workload,
        data_dir: Path,
        timeout_s: float,
    ) -> AsyncIterator[Service]:
        """Listens until the block ends. `timeout_s` is of each query."""
        doors = Doors()
        port = await doors.open(HOST, 0)
        try:
            async with AsyncClient(f"{HOST}:{port}", tenant=TENANT) as client:
                yield cls(profile, models, workload, data_dir, timeout_s, doors, client)
        finally:
            await doors.close(0)

    async def ingest(self, histories: Mapping[str, Sequence[Turn]]) -> None:
        """Makes the histories known; what is there already stays as it is."""
        await self.doors.serve(build_engine(self.profile, self.models, self.data_dir))
        for history, turns in histories.items():
            await self.client.ingest(history, turns)

    @asynccontextmanager
    async def running(self, row: Row, salt: str, queries: Sequence[Query]) -> AsyncIterator[Run]:
        """The service makes its calls as the row says, with memories and a tally of its own."""
        profile = salted(self.profile, salt)
        tally = Tally()
        async with row.around(Counted(self.models, tally), profile) as models:
            local = Layered(models, unanswered(self.workload.local))
            await self.doors.serve(build_engine(profile, local, self.data_dir))
            yield Run(self.client, self.workload.strategy, queries, self.timeout_s, tally)
