"""Histories copied from one store to another as they are: nothing is embedded anew.

Each goes in one transaction, so it is there whole or not at all; a copy that was cut off goes on
where it was. Whatever is written to a history after it was read is not copied: stop its writers.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Literal

from budgetmem.chunking import session_of
from budgetmem.errors import Conflict, NotFound, StoreDamaged
from budgetmem.store import rows
from budgetmem.store.base import Contents, SessionChange, Store


@dataclass(frozen=True)
class CopiedHistory:
    """What became of a history. `present`: the target had the very same one before; `damaged`: it
    cannot be read, here or there; `conflict`: the target has another one under its name, or
    somebody writes to it."""

    tenant: str
    history: str
    status: Literal["copied", "present", "damaged", "conflict"]
    turns: int = 0
    chunks: int = 0


def histories_of(
    store: Store, tenant: str | None = None, names: Collection[str] = ()
) -> list[tuple[str, str]]:
    """(tenant, history) of all that a store has, of one tenant, or of these names. Raises NotFound
    where there is none, or none of a name."""
    tenants = store.tenants() if tenant is None else [tenant]
    found = [(each, name) for each in tenants for name in store.histories(each)]
    chosen = [(each, name) for each, name in found if not names or name in names]
    missing = sorted(set(names).difference(name for _, name in chosen))
    if missing or not chosen:
        what = f"history {missing[0]!r}" if missing else "histories"
        raise NotFound(f"the store has no {what}" + (f" of tenant {tenant!r}" if tenant else ""))
    return chosen


def copy_history(source: Store, target: Store, tenant: str, history: str) -> CopiedHistory:
    """Copies a history, and compares what the target has then with what was read.

    Raises NotFound if the source has no such history, StoreUnavailable.
    """
    try:
        return _copied(source, target, tenant, history)
    except StoreDamaged:
        return CopiedHistory(tenant, history, "damaged")
    except Conflict:
        return CopiedHistory(tenant, history, "conflict")


def _copied(source: Store, target: Store, tenant: str, history: str) -> CopiedHistory:
    contents = source.contents(tenant, history)
    turns, chunks = len(contents.turns), len(contents.units)
    if _present(target, tenant, history, contents):
        return CopiedHistory(tenant, history, "present", turns, chunks)
    target.write(
        tenant, history, _epoch(target, tenant, history), contents.settings, [*_changes(contents)]
    )
    if not _present(target, tenant, history, contents):
        raise Conflict(f"history {history!r} of tenant {tenant!r} was deleted meanwhile")
    return CopiedHistory(tenant, history, "copied", turns, chunks)


def _epoch(target: Store, tenant: str, history: str) -> str | None:
    """None, except for what a crash during a deletion may leave: a history without turns."""
    return target.snapshot(tenant, history, (), ()).epoch


def _present(target: Store, tenant: str, history: str, contents: Contents) -> bool:
    """Whether the target has it. Raises Conflict for another history of that name."""
    try:
        found = target.contents(tenant, history)
    except NotFound:
        return False
    if _digest(found) != _digest(contents):
        raise Conflict(f"the target has another history {history!r} of tenant {tenant!r}")
    return True


def _changes(contents: Contents) -> Iterator[SessionChange]:
    """Sessions in the order of the source; then turns in order of arrival, a run of one session
    at a time."""
    units = defaultdict(list)
    for unit, vector in contents.units:
        units[unit.session].append((unit, vector))
    for name in contents.sessions:
        yield SessionChange(name, 0, (), tuple(units[name]), frozenset())
    for name, turns in groupby(contents.turns, key=session_of):
        yield SessionChange(name, None, tuple(turns), (), frozenset())


def _digest(contents: Contents) -> bytes:
    """The same for the same history in every store. The order of units means nothing."""
    digest = hashlib.sha256(json.dumps([asdict(contents.settings), contents.sessions]).encode())
    for turn in contents.turns:
        digest.update(json.dumps(rows.turn_row(turn)).encode())
    for unit, vector in sorted(contents.units, key=lambda each: each[0].id):
        digest.update(json.dumps(rows.unit_row(unit)).encode() + rows.blob(vector))
    return digest.digest()
