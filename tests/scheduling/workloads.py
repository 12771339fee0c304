"""Plans and operations for cores: by hypothesis, and from a seed."""

import random
from dataclasses import dataclass

from hypothesis import strategies as st

from budgetmem.scheduling.interface import MAX_TOKENS, NEVER, BackbonePlan, Plan, QueuePlan


@dataclass(frozen=True)
class Submit:
    """`born` and `deadline` of the rows are relative to now, unless the deadline is NEVER."""

    rows: tuple[dict[str, int], ...]


@dataclass(frozen=True)
class OnIds:
    """`call` is cancel, first_token or finish. `picks` choose among the items in flight, or among
    all that there ever were, by position from the newest, round and round."""

    call: str
    picks: tuple[int, ...]
    in_flight: bool = False
    ok: bool = True


@dataclass(frozen=True)
class SetCredits:
    backbone: int
    credits: int


@dataclass(frozen=True)
class Advance:
    """Lets so many nanoseconds pass first; with None, goes to the next timer if that is soon."""

    by: int | None


@dataclass(frozen=True)
class Close:
    pass


Operation = Submit | OnIds | SetCredits | Advance | Close

BACKBONE = {
    "credits": (1, 2, 5),
    "batch_items": (1, 1, 2, 4, 8),
    "batch_tokens": (0, 0, 16, 64),
    "pads": (False, True),
    "fixed": (0, 0, 3, 20),
    "per_token": (0, 0, 1),
    "leader_timeout": (0, 5, 50, NEVER),
    "device": (0, 0, 7, 7, 7, 2**32 - 1),
}
CAPACITY = (1, 3, 10, 50)
TENANT_CAPACITY = (1, 2, 5, 50)
QUANTUM = (1, 3, 10, 1024)
AGE_CAP = (0, 10, 100, NEVER)
DEVICE_TURN = (1, 20, 20, NEVER)
ROW = {
    "group": (0, 0, 0, 1, 2, 3, 2**64 - 1),
    "born": (0, 0, -1, -5, -40, 3),
    "deadline": (NEVER, NEVER, 0, 4, 20, 60, 200, NEVER - 1),
    "queue": (0, 1, 2, 3),
    "tenant": (0, 1, 2, 3, 2**32 - 1),
    "tokens": (1, 1, 2, 3, 4, 7, 8, 15, 30, 60),
}
STEPS = (None, None, 0, 0, 1, 2, 5, 20, 100)
CREDITS = (1, 1, 2, 3, 6)


def plans(**fixed: int) -> st.SearchStrategy[Plan]:
    """Plans whose backbones have these fields, and the others by chance."""
    values = {**BACKBONE, **{name: (value,) for name, value in fixed.items()}}
    backbones = st.builds(
        BackbonePlan, **{name: st.sampled_from(choices) for name, choices in values.items()}
    )

    def with_queues(chosen: list[BackbonePlan]) -> st.SearchStrategy[Plan]:
        queues = st.builds(
            QueuePlan,
            backbone=st.integers(0, len(chosen) - 1),
            capacity=st.sampled_from(CAPACITY),
            tenant_capacity=st.sampled_from(TENANT_CAPACITY),
        )
        return st.builds(
            Plan,
            backbones=st.just(tuple(chosen)),
            queues=st.lists(queues, min_size=1, max_size=4).map(tuple),
            quantum=st.sampled_from(QUANTUM),
            age_cap=st.sampled_from(AGE_CAP),
            device_turn=st.sampled_from(DEVICE_TURN),
        )

    return st.lists(backbones, min_size=1, max_size=3).flatmap(with_queues)


def operations() -> st.SearchStrategy[Operation]:
    """Anything but Close."""
    rows = st.fixed_dictionaries({name: st.sampled_from(values) for name, values in ROW.items()})
    picks = st.lists(st.integers(0, 20), min_size=1, max_size=4).map(tuple)
    return st.one_of(
        st.builds(Submit, st.lists(rows, max_size=6).map(tuple)),
        st.builds(Advance, st.sampled_from(STEPS)),
        st.builds(OnIds, st.just("finish"), picks, st.just(True), st.booleans()),
        st.builds(OnIds, st.just("first_token"), picks, st.booleans()),
        st.builds(OnIds, st.sampled_from(("cancel", "finish")), picks, st.just(False)),
        st.builds(SetCredits, st.integers(0, 2), st.sampled_from(CREDITS)),
    )


class Random:
    """The same from a seed, faster. `Close` is for the caller. `tenants` may be so many more."""

    def __init__(self, seed: int, tenants: int = 0) -> None:
        self._random = random.Random(seed)
        self._row_values = dict(ROW)
        if seed % 2:  # fewer groups, more of whose members wait
            self._row_values |= {"group": (0, 1, 2), "deadline": (NEVER, NEVER, NEVER, 200)}

        self._row_values["tenant"] = (*ROW["tenant"], *range(4, tenants))

    def plan(self) -> Plan:
        choose, count = self._random.choice, self._random.randint
        backbones = tuple(
            BackbonePlan(**{name: choose(values) for name, values in BACKBONE.items()})
            for _ in range(count(1, 3))
        )
        queues = tuple(
            QueuePlan(count(0, len(backbones) - 1), choose(CAPACITY), choose(TENANT_CAPACITY))
            for _ in range(count(1, 4))
        )
        return Plan(backbones, queues, choose(QUANTUM), choose(AGE_CAP), choose(DEVICE_TURN))

    def operation(self) -> Operation:
        kind = self._random.random()
        if kind < 0.3:
            return Submit(tuple(self._row() for _ in range(self._random.randint(0, 6))))
        if kind < 0.6:
            return Advance(self._random.choice(STEPS))
        if kind < 0.8:
            return OnIds("finish", self._picks(), True, self._random.random() < 0.7)
        if kind < 0.9:
            return OnIds("first_token", self._picks(), self._random.random() < 0.8)
        if kind < 0.98:
            return OnIds(self._random.choice(("cancel", "cancel", "finish")), self._picks())
        return SetCredits(self._random.randint(0, 2), self._random.choice(CREDITS))

    def _row(self) -> dict[str, int]:
        row = {name: self._random.choice(values) for name, values in self._row_values.items()}
        if self._random.random() < 0.0005:
            row["tokens"] = MAX_TOKENS
        return row

    def _picks(self) -> tuple[int, ...]:
        return tuple(self._random.randint(0, 20) for _ in range(self._random.randint(1, 4)))
