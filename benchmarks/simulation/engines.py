"""The modelled backbones: dispatches in, first tokens and finishes out, in virtual nanoseconds."""

from __future__ import annotations

import heapq
from collections import OrderedDict, defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Protocol

from benchmarks.simulation.parameters import NANOSECONDS, Batching, Call, Continuous, Model


@dataclass
class Job:
    """A call in flight: its id, the query whose prefix it shares, and what is left to be read."""

    id: int
    query: int
    call: Call
    unread: int = 0


@dataclass(frozen=True)
class Progress:
    """What happened at one time: ids whose prompt has been read, and ids that finished."""

    first_tokens: tuple[int, ...]
    finished: tuple[int, ...]


class Engine(Protocol):
    """The instances of one backbone. `next_event` is nanoseconds, or None while it is idle."""

    def start(self, jobs: Sequence[Job], now: int) -> None:
        """Begins one dispatch. There must be room for it."""

    def next_event(self) -> int | None: ...

    def advance(self, now: int) -> Progress:
        """Everything that happens at `now`, which is the time of the next event."""
        ...


def open_engine(model: Model, instances: int) -> Engine:
    """The engine of a model."""
    if isinstance(model, Batching):
        return BatchingEngine(model, instances)
    return ContinuousEngine(model, instances)


class BatchingEngine:
    """Instances that each do one batch at a time; nothing is out before all of it is."""

    def __init__(self, model: Batching, instances: int) -> None:
        self._model = model
        self._free = instances
        self._order = count()
        self._busy: list[tuple[int, int, tuple[int, ...]]] = []

    def start(self, jobs: Sequence[Job], now: int) -> None:
        assert self._free > 0, "more dispatches than instances"
        self._free -= 1
        end = now + round((self._model.a_s + self._model.b_s * len(jobs)) * NANOSECONDS)
        heapq.heappush(self._busy, (end, next(self._order), tuple(job.id for job in jobs)))

    def next_event(self) -> int | None:
        return self._busy[0][0] if self._busy else None

    def advance(self, now: int) -> Progress:
        finished: list[int] = []
        while self._busy and self._busy[0][0] <= now:
            finished.extend(heapq.heappop(self._busy)[2])
            self._free += 1
        return Progress((), tuple(finished))


class ContinuousEngine:
    """Instances that iterate; a call goes to the one that remembers its prefix, if it has room,
    and else to the one with the fewest sequences."""

    def __init__(self, model: Continuous, instances: int) -> None:
        self._slots = model.slots
        self._instances = [_Instance(model) for _ in range(instances)]
        self._waking: dict[int, int] = {}  # instances that were idle, and since when they are not
        self._ends: list[tuple[int, int]] = []

    def start(self, jobs: Sequence[Job], now: int) -> None:
        for job in jobs:
            number = self._place(job)
            instance = self._instances[number]
            if not instance.sequences:
                self._waking[number] = now
            instance.add(job)

    def next_event(self) -> int | None:
        # Only now has everything come that was dispatched at one time.
        for number, now in self._waking.items():
            heapq.heappush(self._ends, (now + self._instances[number].begin(), number))
        self._waking.clear()
        return self._ends[0][0] if self._ends else None

    def advance(self, now: int) -> Progress:
        first_tokens: list[int] = []
        finished: list[int] = []
        while self._ends and self._ends[0][0] <= now:
            _, number = heapq.heappop(self._ends)
            instance = self._instances[number]
            instance.end(first_tokens, finished)
            if instance.sequences:
                heapq.heappush(self._ends, (now + instance.begin(), number))
        return Progress(tuple(first_tokens), tuple(finished))

    def _place(self, job: Job) -> int:
        room = [n for n, each in enumerate(self._instances) if each.sequences < self._slots]
        assert room, "more dispatches than slots"
        warm = [n for n in room if job.call.shared and self._instances[n].remembers(job.query)]
        return min(warm or room, key=lambda n: (self._instances[n].sequences, n))


class _Instance:
    """One engine. `begin` plans an iteration, `end` carries it out."""

    def __init__(self, model: Continuous) -> None:
        self._model = model
        self._iteration = 0
        self._unread: deque[Job] = deque()
        self._reading: list[tuple[Job, int]] = []  # what the iteration reads, in tokens
        self._decoding = 0
        self._last: defaultdict[int, list[int]] = defaultdict(list)  # ids by their last iteration
        self._prefixes: OrderedDict[int, None] = OrderedDict()
        self.sequences = 0

    def remembers(self, query: int) -> bool:
        return query in self._prefixes

    def add(self, job: Job) -> None:
        known = job.call.shared and self.remembers(job.query)
        job.unread = job.call.own + (0 if known else job.call.shared)
        self._unread.append(job)
        self.sequences += 1

    def begin(self) -> int:
        """Nanoseconds that the next iteration takes; what comes meanwhile is in a later one."""
        room = self._model.chunk
        self._reading = []
        for job in self._unread:
            if not room:
                break
            self._reading.append((job, min(job.unread, room)))
            room -= self._reading[-1][1]
        seconds = (
            self._model.step_s
            + self._model.per_sequence_s * self._decoding
            + (self._model.chunk - room) / self._model.prefill
        )
        return round(seconds * NANOSECONDS)

    def end(self, first_tokens: list[int], finished: list[int]) -> None:
        """Appends the ids that got their first token, and those that got their last one."""
        self._iteration += 1
        over = self._last.pop(self._iteration, [])
        self._decoding -= len(over)
        for job, tokens in self._reading:
            job.unread -= tokens
            if not job.unread:
                self._unread.popleft()
                self._read(job)
                first_tokens.append(job.id)
                self._decode(job, over)
        self.sequences -= len(over)
        finished.extend(over)

    def _read(self, job: Job) -> None:
        """Remembers the prefix; the one that was used least lately makes room."""
        if job.call.shared:
            self._prefixes[job.query] = None
            self._prefixes.move_to_end(job.query)
            if len(self._prefixes) > self._model.prefixes:
                self._prefixes.popitem(last=False)

    def _decode(self, job: Job, over: list[int]) -> None:
        """Reading gave the first token; the others take an iteration each."""
        if job.call.reply == 1:
            over.append(job.id)
        else:
            self._decoding += 1
            self._last[self._iteration + job.call.reply - 1].append(job.id)
