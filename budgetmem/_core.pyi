"""The tier scheduler and the router's micro-batches, in C++ (csrc/).

Arrays that go in are read where they lie: they must be C-contiguous, aligned and of exactly the
dtype that is named, and nobody may write to them during the call. Nothing is cast or copied.
Whatever cannot work raises budgetmem.errors.InvalidInput naming the field (`items[3].queue`,
`plan.backbones[0].credits`), and leaves everything as it was.

Times are int64 nanoseconds; those of a Scheduler without a clock are of time.monotonic_ns().
The rules of the scheduler are in docs/scheduling.md, its interface with all names of statistics in
budgetmem/scheduling/interface.py.
"""

from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from budgetmem.scheduling.interface import Events, Ids, Items, Plan

class _Pybind11Type(type): ...

class ManualClock(metaclass=_Pybind11Type):
    """Time that stands still until it is advanced. Any thread."""

    def __init__(self, start: int = 0) -> None: ...
    def now(self) -> int: ...
    def advance(self, by: int) -> None:
        """Wakes the schedulers for which something is due. InvalidInput("by") if negative."""

class Core(metaclass=_Pybind11Type):
    """The state machine of the scheduler (interface.Core). Time is an argument.

    Calls hold the GIL, so threads may share a core, one call after the other.
    """

    def __init__(self, plan: Plan) -> None:
        """InvalidInput names the first field of the plan that cannot work."""

    def submit(self, items: Items, now: int) -> tuple[Ids, NDArray[np.uint8]]:
        """Admits what there is room for: ids (0 where not accepted) and Admission values.

        InvalidInput for an unknown `items[i].queue` or `items[i].tokens` out of range; then nothing
        is admitted.
        """

    def first_token(self, ids: Ids) -> None:
        """These have read their prompts: the siblings of leaders may go."""

    def finish(self, ids: Ids, ok: bool, now: int) -> int:
        """Ends items in flight; how many of the ids were. Others are passed over."""

    def cancel(self, ids: Ids) -> int:
        """Takes back items that wait; how many of the ids did. Others are passed over."""

    def advance(self, now: int) -> Events:
        """Expires, releases and dispatches all that is due, in order."""

    def next_timer(self) -> int:
        """When advance() has something to do although nothing else happens; NEVER if never."""

    def set_credits(self, backbone: int, credits: int) -> None:
        """At least 1; fewer than are in use is allowed. InvalidInput: `backbone`, `credits`."""

    def close(self) -> Events:
        """Admits nothing from now on; what waits is told. Work in flight may finish."""

    @property
    def closed(self) -> bool: ...
    def queue_stats(self) -> list[dict[str, Any]]:
        """A dict a queue: counters, and the histograms `queued` and `service` (uint64 [488])."""

    def backbone_stats(self) -> list[dict[str, int]]:
        """A dict a backbone."""

class Scheduler(metaclass=_Pybind11Type):
    """A Core with a clock and a thread of its own (interface.Scheduler).

    Methods may be called from any thread, and release the GIL. When the object goes, it closes: an
    open one does not keep the interpreter from its exit. Not for forked children: one that lets it
    go waits for a thread that only its parent has.
    """

    def __init__(self, plan: Plan, clock: ManualClock | None = None) -> None:
        """InvalidInput as Core; OSError where there is no thread or descriptor to be had."""

    def submit(self, items: Items) -> tuple[Ids, NDArray[np.uint8]]:
        """As Core.submit, at the time of the clock."""

    def first_token(self, ids: Ids) -> None:
        """As Core.first_token."""

    def finish(self, ids: Ids, ok: bool) -> int:
        """As Core.finish, at the time of the clock."""

    def cancel(self, ids: Ids) -> int:
        """As Core.cancel."""

    def poll(self) -> Events:
        """The events since the last poll, in order; an array of its own."""

    def fileno(self) -> int:
        """An eventfd: readable while there are events to poll. It lives as long as the object."""

    def now(self) -> int: ...
    def set_credits(self, backbone: int, credits: int) -> None:
        """As Core.set_credits."""

    def close(self) -> None:
        """Admits nothing from now on, tells what waits, and ends the thread; again does nothing.

        finish() and poll() still work.
        """

    def queue_stats(self) -> list[dict[str, Any]]:
        """As Core.queue_stats."""

    def backbone_stats(self) -> list[dict[str, int]]:
        """As Core.backbone_stats."""

class DecisionBatch(metaclass=_Pybind11Type):
    """One micro-batch of n decisions. Its arrays are views, and keep it alive."""

    def __init__(self, *args: NoReturn, **kwargs: NoReturn) -> None:
        """TypeError: batches come from DecisionBuffer.take()."""

    @property
    def features(self) -> NDArray[np.float32]:
        """[n, width], C-contiguous; may be written to."""

    @property
    def masks(self) -> NDArray[np.uint8]:
        """[n], read-only."""

class DecisionBuffer(metaclass=_Pybind11Type):
    """Gathers decisions until they are taken. Any thread; methods release the GIL."""

    def __init__(self, width: int, capacity: int) -> None:
        """`width` features a decision, at most `capacity` decisions waiting; both at least 1, and
        their product at most 2**26."""

    def add(self, rows: NDArray[np.float32], masks: NDArray[np.uint8]) -> None:
        """Copies rows [n, width] and masks [n] (bit t: tier t is forbidden) to the open batch.

        Overloaded where there is no room for all: none is added. InvalidInput: `rows`, `masks`, or
        `rows[i]` that is not finite.
        """

    def take(self) -> DecisionBatch | None:
        """All that was added since the last take, in order, or None."""

    def __len__(self) -> int:
        """How many wait to be taken."""

def choose_tiers(
    logits: NDArray[np.float32],
    masks: NDArray[np.uint8],
    uniforms: NDArray[np.float64] | None = None,
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """The chosen tiers [n] and their probabilities [n, T], of logits [n, T] under masks [n].

    Softmax over what is not masked (bit t: tier t is forbidden); where all is, tier 0 has
    probability 1. The choice is the arg max, the lower of equals; or, with uniforms [n] in [0, 1),
    a sample. InvalidInput: `logits` (T over 8), `logits[i]` (NaN), `masks`, `uniforms`,
    `uniforms[i]`.
    """
