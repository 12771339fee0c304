"""What a simulation assumes. Everything here is printed and stored with the results."""

from __future__ import annotations

from dataclasses import dataclass

NANOSECONDS = 1_000_000_000


@dataclass(frozen=True)
class Call:
    """One LLM call of a query. Tokens of its prompt (`shared` with the calls of the same stage,
    then its `own`), and of its reply."""

    own: int
    reply: int
    shared: int = 0

    @property
    def tokens(self) -> int:
        """What the scheduler is told."""
        return self.shared + self.own + self.reply


QUERY: tuple[tuple[Call, ...], ...] = (
    (Call(own=600, reply=16),),
    (Call(shared=1200, own=100, reply=48),) * 3,
    (Call(own=400, reply=64),),
)
"""Five calls in three stages: filter; entities, times and topics of the same memories; summary."""


@dataclass(frozen=True)
class Continuous:
    """An engine with continuous batching and a prefix cache, in iterations.

    An iteration reads up to `chunk` prompt tokens and makes one token for each of the sequences
    that have been read: it takes step_s + per_sequence_s * sequences + tokens read / prefill. A
    shared prefix is not read again if the instance has read it, and remembers it, when the call
    comes. An instance has `slots` sequences and remembers `prefixes` prefixes.
    """

    prefill: float
    step_s: float
    per_sequence_s: float
    slots: int
    chunk: int
    prefixes: int = 64


@dataclass(frozen=True)
class Batching:
    """An engine that takes a batch of at most `items` and is busy for a_s + b_s * n with n."""

    a_s: float
    b_s: float
    items: int


Model = Continuous | Batching

MODELS: dict[str, Model] = {
    # The first has the speed of profile `tiny`: 3,100 tokens/s read, about 100 tokens/s made by one
    # sequence and 500 by sixteen. The others are round numbers of no particular machine.
    "cpu": Continuous(prefill=3100, step_s=8.1e-3, per_sequence_s=1.5e-3, slots=16, chunk=256),
    "accelerator": Continuous(
        prefill=100_000, step_s=10e-3, per_sequence_s=0.05e-3, slots=128, chunk=2048
    ),
    "batching": Batching(a_s=20e-3, b_s=2e-3, items=32),
}


@dataclass(frozen=True)
class Setup:
    """One simulated service. `timeout_s` is the deadline of each query, `slo_s` the objective.

    A queue holds `capacity` items, of which those of one tenant are at most `tenant_capacity`
    where the arm is fair.
    """

    model: Model
    instances: int
    timeout_s: float = 30.0
    slo_s: float = 5.0
    capacity: int = 4096
    tenant_capacity: int = 1024
    quantum: int = 1024
    leader_timeout_s: float = 30.0

    @property
    def credits(self) -> int:
        """Dispatches that the instances can have in flight together."""
        return self.instances * (self.model.slots if isinstance(self.model, Continuous) else 1)


@dataclass(frozen=True)
class Arm:
    """A way to schedule. Without `fair` there is one line, in order of admission, for everybody."""

    name: str
    fair: bool
    groups: bool


ARMS = (
    Arm("groups", fair=True, groups=True),
    Arm("no groups", fair=True, groups=False),
    Arm("FIFO", fair=False, groups=False),
)


def ceiling(model: Model) -> float:
    """Queries/s that an instance cannot pass, however it is scheduled: every slot is taken, and
    every shared prefix is read once."""
    if isinstance(model, Batching):
        calls = sum(len(stage) for stage in QUERY)
        return model.items / (model.a_s + model.b_s * model.items) / calls
    read = sum(stage[0].shared + sum(call.own for call in stage) for stage in QUERY)
    made = sum(call.reply for stage in QUERY for call in stage)
    seconds = read / model.prefill + made * (model.per_sequence_s + model.step_s / model.slots)
    return 1 / seconds
