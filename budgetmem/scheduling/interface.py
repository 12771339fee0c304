"""What a scheduler core is: the interface that the C++ core and the Python reference share.

The rules themselves are in docs/scheduling.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

NEVER = 2**63 - 1
"""A time that does not come: no deadline, no timeout. Times are int64 nanoseconds."""

MAX_TOKENS = 2**20

ITEM = np.dtype(
    [
        ("group", np.uint64),
        ("born", np.int64),
        ("deadline", np.int64),
        ("queue", np.uint32),
        ("tenant", np.uint32),
        ("tokens", np.uint32),
    ],
    align=True,
)
"""One item of work. `group` 0 is no prefix group; `tokens` are 1 to MAX_TOKENS."""

EVENT = np.dtype(
    [("id", np.uint64), ("batch", np.uint64), ("kind", np.uint8)],
    align=True,
)
"""What became of a waiting item; `kind` is an EventKind."""


class Admission(IntEnum):
    """The answer to one submitted item."""

    ACCEPTED, FULL, INFEASIBLE, CLOSED = range(4)


class EventKind(IntEnum):
    """What became of a waiting item."""

    DISPATCHED, EXPIRED, CLOSED = range(3)


@dataclass(frozen=True)
class BackbonePlan:
    """A pool of credits; see csrc/include/budgetmem/types.hpp. Times are nanoseconds."""

    credits: int
    batch_items: int = 1
    batch_tokens: int = 0
    pads: bool = False
    fixed: int = 0
    per_token: int = 0
    leader_timeout: int = NEVER
    device: int = 0


@dataclass(frozen=True)
class QueuePlan:
    """The queue of one (stage, model): an index into `Plan.backbones`, and its bounds in items."""

    backbone: int
    capacity: int
    tenant_capacity: int


@dataclass(frozen=True)
class Plan:
    """Everything a core is made from. `quantum` is tokens; times are nanoseconds."""

    backbones: tuple[BackbonePlan, ...]
    queues: tuple[QueuePlan, ...]
    quantum: int = 1024
    age_cap: int = 0
    device_turn: int = 1_000_000_000


Items = NDArray[np.void]
"""One-dimensional, C-contiguous, of dtype ITEM."""

Events = NDArray[np.void]
"""One-dimensional, of dtype EVENT."""

Ids = NDArray[np.uint64]


class Core(Protocol):
    """The state machine: time is an argument. Raises InvalidInput naming the field.

    `submit` returns ids (0 where not accepted) and Admission values (uint8), as long as `items`.
    """

    def submit(self, items: Items, now: int) -> tuple[Ids, NDArray[np.uint8]]: ...

    def first_token(self, ids: Ids) -> None: ...

    def finish(self, ids: Ids, ok: bool, now: int) -> int:
        """How many of the ids were in flight."""
        ...

    def cancel(self, ids: Ids) -> int:
        """How many of the ids waited."""
        ...

    def advance(self, now: int) -> Events: ...

    def next_timer(self) -> int: ...

    def set_credits(self, backbone: int, credits: int) -> None: ...

    def close(self) -> Events: ...

    @property
    def closed(self) -> bool: ...

    def queue_stats(self) -> Sequence[dict[str, Any]]:
        """A dict a queue: the counters of QueueStats (csrc/include/budgetmem/core.hpp) by name;
        `queued` and `service`, uint64 histograms (budgetmem.scheduling.histograms), and their sums
        `queued_ns` and `service_ns`."""
        ...

    def backbone_stats(self) -> Sequence[dict[str, int]]: ...


class Scheduler(Protocol):
    """A core with a clock and a thread of its own. Methods may be called from any thread.

    `fileno` is readable while there are events to `poll`; it is signalled once for all of them.
    """

    def submit(self, items: Items) -> tuple[Ids, NDArray[np.uint8]]: ...

    def first_token(self, ids: Ids) -> None: ...

    def finish(self, ids: Ids, ok: bool) -> int: ...

    def cancel(self, ids: Ids) -> int: ...

    def poll(self) -> Events: ...

    def fileno(self) -> int: ...

    def now(self) -> int: ...

    def set_credits(self, backbone: int, credits: int) -> None: ...

    def close(self) -> None: ...

    def queue_stats(self) -> Sequence[dict[str, Any]]: ...

    def backbone_stats(self) -> Sequence[dict[str, int]]: ...
