"""Room for so much at a time, and no line of those that wait for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from secrets import token_hex

from budgetmem.errors import Overloaded
from budgetmem.proto.budgetmem.v1.memory_pb2 import DESCRIPTOR
from server.security.permissions import is_open

_SERVICE = DESCRIPTOR.services_by_name["MemoryService"].full_name

STORE_METHODS = frozenset(
    f"/{_SERVICE}/{name}"
    for name in (
        "Ingest",
        "ListHistories",
        "ExportHistory",
        "DeleteHistory",
        "DeleteTurns",
        "DeleteTenant",
    )
)
"""Calls on histories."""

PLACE_KEY = "budgetmem-place"
"""The metadata header of a call that another door of this server makes: the name of its place."""

EXPORT = f"/{_SERVICE}/ExportHistory"
CHECK = "/grpc.health.v1.Health/Check"


@dataclass(frozen=True)
class Share:
    """How much there may be at a time, in total and of one tenant."""

    total: int
    tenant: int


CHECKS = Share(512, 512)
"""Of checks of health, which need no credential, whoever makes them: they take no room from calls
of tenants, nor those from them."""

WATCHES = Share(64, 64)
"""Of other calls that need no credential. They last as long as their callers like, and leave checks
their room."""


@dataclass(frozen=True)
class CallLimits:
    """How many calls there may be at a time, and among them calls on histories; as many exports
    beside these.

    Each may hold a message in memory, of `budgetmem.info.Limits.message_bytes` at most. `calls`
    leave the scheduler's line, with 4096 places and 1024 of one tenant, the refusal of requests.
    """

    calls: Share = field(default_factory=lambda: Share(5120, 1280))
    store: Share = field(default_factory=lambda: Share(64, 16))


class Room:
    """Places for what does not wait: who finds none is Overloaded. `what` are its things, for
    people."""

    def __init__(self, share: Share, what: str) -> None:
        self._share = share
        self._what = what
        self._taken: Counter[str] = Counter()

    @contextmanager
    def place(self, tenant: str, size: int = 1) -> Iterator[None]:
        """Holds a place. Raises Overloaded if all are taken, or all that one tenant may have.

        Where nothing else is, there is room for anything.
        """
        self._check(self._taken.total(), size, self._share.total, "in all")
        self._check(self._taken[tenant], size, self._share.tenant, "of one tenant")
        self._taken[tenant] += size
        try:
            yield
        finally:
            self._taken[tenant] -= size
            if not self._taken[tenant]:
                del self._taken[tenant]

    def _check(self, taken: int, size: int, most: int, of: str) -> None:
        if taken and taken + size > most:
            raise Overloaded(
                f"the server works on {most} {self._what} {of} at a time: send fewer, or again "
                "later"
            )


class _Lent:
    """Places that are kept until all who hold them have ended."""

    def __init__(self, places: ExitStack) -> None:
        self._places = places
        self._holders = 0

    @contextmanager
    def held(self) -> Iterator[None]:
        self._holders += 1
        try:
            yield
        finally:
            self._holders -= 1
            if not self._holders:
                self._places.close()


class Rooms:
    """The room of a server's doors: for all calls, and within it for those on histories.

    Exports have a room of their own: one whose caller does not read on keeps its place until the
    caller leaves, for gRPC has no way to send it away.
    """

    def __init__(self, limits: CallLimits) -> None:
        calls = Room(limits.calls, "calls")
        store = Room(limits.store, "calls on histories")
        self._calls = (calls,)
        self._watches = (Room(WATCHES, "watches of its health"),)
        self._rooms: Mapping[str, tuple[Room, ...]] = {
            CHECK: (Room(CHECKS, "checks of its health"),),
            **dict.fromkeys(STORE_METHODS, (calls, store)),
            EXPORT: (calls, Room(limits.store, "exports")),
        }
        self._lent: dict[str, _Lent] = {}

    @contextmanager
    def place(self, method: str, tenant: str, name: str = "") -> Iterator[None]:
        """Holds what a call of `/package.Service/Method` needs: the place that is lent under this
        name, or else one of its own. Raises Overloaded."""
        lent = self._lent.get(name)
        with self._own(method, tenant) if lent is None else lent.held():
            yield

    @contextmanager
    def lending(self, method: str, tenant: str) -> Iterator[str]:
        """Holds a place as `place` does, and lends it to a call of another door that this one makes
        meanwhile, by a name that nobody can guess. It is kept until both have ended: a call may
        outlive the one who makes it, and what it sends be on the way when it has ended."""
        places, name = ExitStack(), token_hex(16)
        places.enter_context(self._own(method, tenant))
        lent = self._lent[name] = _Lent(places)
        try:
            with lent.held():
                yield name
        finally:
            del self._lent[name]

    @contextmanager
    def _own(self, method: str, tenant: str) -> Iterator[None]:
        others = self._watches if is_open(method) else self._calls
        with ExitStack() as places:
            for room in self._rooms.get(method, others):
                places.enter_context(room.place(tenant))
            yield
