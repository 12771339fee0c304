"""What a tenant does, and how each answer is compared with what the tenant must have."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace

from budgetmem.client import AsyncClient, Budget, Tier
from budgetmem.errors import BudgetMemError, NotFound
from budgetmem.types import Memory, Turn

HISTORIES = ("trip", "home", "Trip", "a/b", "..", "übung")
"""Names that every tenant uses, so that only the tenant tells histories apart."""

QUERIES = ("When did Ana book the flight?", "Which cat?", "Who said hello?")
WORDS = ("hello", "cat", "flight", "booked", "May", "Ana")
MARK = re.compile(r"mark\d+x")


@dataclass
class Report:
    """What was called how often, and every crossing that was seen: there must be none."""

    calls: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def check(self, sound: bool, what: str) -> None:
        """Notes a violation unless all is sound."""
        if not sound:
            self.violations.append(what)


@dataclass
class Tenant:
    """One tenant: its clients, and what its histories must hold."""

    number: int
    rng: random.Random
    client: AsyncClient
    reader: AsyncClient
    intruders: tuple[tuple[type[BudgetMemError], AsyncClient], ...]
    held: dict[str, list[str]] = field(default_factory=dict)
    said: int = 0

    @property
    def mark(self) -> str:
        """In every text of the tenant, and in no other."""
        return f"mark{self.number}x"

    def turn(self) -> Turn:
        """A turn that was not there before."""
        self.said += 1
        text = f"{self.mark} {self.said} {' '.join(self.rng.sample(WORDS, 3))}"
        return Turn(str(self.said), "Ana", text, session=f"s{self.said % 3}")


async def ingest(tenant: Tenant, history: str, report: Report) -> None:
    """New turns: if one was there already, somebody else had written it."""
    turns = [tenant.turn() for _ in range(tenant.rng.randint(1, 3))]
    done = await tenant.client.ingest(history, turns)
    report.check(done.added == len(turns), f"{tenant.mark}: {history} was filled by another")
    tenant.held.setdefault(history, []).extend(turn.text for turn in turns)


async def export(tenant: Tenant, history: str, report: Report) -> None:
    """All that was ingested, and nothing else."""
    try:
        found = [turn.text async for turn in tenant.reader.export(history)]
    except NotFound:
        report.check(history not in tenant.held, f"{tenant.mark}: {history} is gone")
        return
    report.check(found == tenant.held.get(history), f"{tenant.mark}: {history} holds {found}")


async def listing(tenant: Tenant, _: str, report: Report) -> None:
    """The tenant's own histories, of the right size."""
    found = {each.history: each.turns for each in await tenant.reader.histories()}
    expected = {name: len(texts) for name, texts in tenant.held.items()}
    report.check(found == expected, f"{tenant.mark}: {found} instead of {expected}")


async def delete(tenant: Tenant, history: str, report: Report) -> None:
    """Exactly what the tenant had goes."""
    try:
        proof = await tenant.client.delete(history)
    except NotFound:
        report.check(history not in tenant.held, f"{tenant.mark}: {history} is gone")
        return
    held = tenant.held.pop(history, [])
    sound = (proof.turns, proof.remaining) == (len(held), 0)
    report.check(sound, f"{tenant.mark}: deleting {history} took {proof.turns} turns")


async def delete_turns(tenant: Tenant, history: str, report: Report) -> None:
    """Exactly the turns that were named go, and the others stay."""
    held = tenant.held.get(history, [])
    gone = tenant.rng.sample(held, min(2, len(held)))
    # Of a turn that is not there too: whoever has one of that id is not to lose it.
    ids = [*(text.split()[1] for text in gone), str(tenant.rng.randrange(100))]
    gone = [text for text in held if text.split()[1] in ids]
    try:
        proof = await tenant.client.delete_turns(history, ids)
    except NotFound:
        report.check(history not in tenant.held, f"{tenant.mark}: {history} is gone")
        return
    sound = (proof.turns, proof.remaining) == (len(gone), 0)
    report.check(sound, f"{tenant.mark}: {proof.turns} turns of {history} went")
    tenant.held[history] = [text for text in held if text not in gone]
    if not tenant.held[history]:
        del tenant.held[history]


async def delete_tenant(tenant: Tenant, _: str, report: Report) -> None:
    """All that the tenant had goes, and nothing else."""
    proof = await tenant.client.delete_tenant()
    turns = sum(len(texts) for texts in tenant.held.values())
    sound = (proof.turns, proof.histories, proof.remaining) == (turns, len(tenant.held), 0)
    report.check(sound, f"{tenant.mark}: deleting all took {proof.turns} turns")
    tenant.held.clear()


async def extract(tenant: Tenant, history: str, report: Report) -> None:
    """A memory of the tenant's own texts."""
    query, tier = tenant.rng.choice(QUERIES), tenant.rng.choice([Tier.LOW, Tier.MID, Tier.HIGH])
    try:
        memory = await tenant.reader.extract(history, query, tier=tier)
    except NotFound:
        report.check(history not in tenant.held, f"{tenant.mark}: {history} is gone")
        return
    _check_memory(tenant, memory, report)


async def stream(tenant: Tenant, history: str, report: Report) -> None:
    """A memory of the tenant's own texts, and chunks of them before it."""
    try:
        events = [each async for each in tenant.reader.extract_stream(history, QUERIES[0])]
    except NotFound:
        report.check(history not in tenant.held, f"{tenant.mark}: {history} is gone")
        return
    _check_marks(tenant, repr(events[:-1]), report)
    report.check(isinstance(events[-1], Memory), f"{tenant.mark}: a stream without a memory")
    if isinstance(events[-1], Memory):
        _check_memory(tenant, events[-1], report)


async def answer(tenant: Tenant, history: str, report: Report) -> None:
    """An answer from the tenant's own texts."""
    try:
        found = await tenant.reader.answer(history, tenant.rng.choice(QUERIES), budget=Budget())
    except NotFound:
        report.check(history not in tenant.held, f"{tenant.mark}: {history} is gone")
        return
    _check_memory(tenant, found.memory, report)
    _check_marks(tenant, found.text, report)


async def intrude(tenant: Tenant, history: str, report: Report) -> None:
    """A call that must be refused: beyond the scopes, in another's name, with a revoked key."""
    error, client = tenant.rng.choice(tenant.intruders)
    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: client.ingest(history, [replace(tenant.turn(), text="intruded")]),
        lambda: client.delete(history),
        lambda: client.delete_turns(history, ["1", "2", "3"]),
        client.delete_tenant,
        client.reload_routers,
    ]
    if client is not tenant.reader:
        calls += [client.histories, lambda: client.extract(history, QUERIES[0])]
    try:
        await tenant.rng.choice(calls)()
    except error:
        return
    report.violations.append(f"{tenant.mark}: a call that needs {error.__name__} went through")


ACTIONS: Mapping[Callable[[Tenant, str, Report], Awaitable[None]], int] = {
    ingest: 27,
    export: 13,
    listing: 10,
    delete: 7,
    delete_turns: 6,
    delete_tenant: 2,
    extract: 10,
    stream: 5,
    answer: 5,
    intrude: 15,
}
"""How often each is drawn, out of a hundred."""


def _check_memory(tenant: Tenant, memory: Memory, report: Report) -> None:
    chunks = " ".join(chunk.text for chunk in memory.chunks)
    findings = " ".join(each.text for found in memory.findings.values() for each in found)
    _check_marks(tenant, f"{memory.text} {chunks} {findings}", report)
    report.check(tenant.mark in chunks, f"{tenant.mark}: a memory of nothing")


def _check_marks(tenant: Tenant, text: str, report: Report) -> None:
    foreign = set(MARK.findall(text)) - {tenant.mark}
    report.check(not foreign, f"{tenant.mark} sees texts of {sorted(foreign)}")
