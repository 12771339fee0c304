"""What holds of the reference whatever is done to it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from budgetmem.scheduling.interface import NEVER, BackbonePlan, EventKind, Plan, QueuePlan
from budgetmem.scheduling.reference import Core

from .story import Story, id_array, item_rows, one_queue
from .workloads import plans

COSTS = st.lists(st.integers(1, 40), min_size=1, max_size=40)


@settings(max_examples=100)
@given(st.lists(COSTS, min_size=2, max_size=4), st.integers(1, 50))
def test_tenants_that_have_work_differ_by_less_than_a_quantum_and_an_item(costs, quantum):
    core = Core(one_queue(quantum=quantum, capacity=1000, tenant_capacity=1000))
    rows = [
        {"tenant": tenant, "tokens": tokens} for tenant, line in enumerate(costs) for tokens in line
    ]
    ids, _ = core.submit(item_rows(*rows), 0)
    row_of = dict(zip(ids.tolist(), rows, strict=True))
    served = [0] * len(costs)
    left = [len(line) for line in costs]
    while min(left) > 0:
        (dispatched,) = core.advance(0)["id"].tolist()
        row = row_of[dispatched]
        served[row["tenant"]] += row["tokens"]
        left[row["tenant"]] -= 1
        assert max(served) - min(served) < quantum + max(row["tokens"] for row in rows)
        core.finish(id_array([dispatched]), True, 0)


@pytest.mark.parametrize(("first", "second"), [(16, 31), (64, 127), (127, 64), (256, 511)])
def test_a_tenant_that_joins_more_than_its_turns_pay_for_seeds_within_a_bounded_time(first, second):
    batches = {"batch_items": 32, "batch_tokens": 4096, "pads": True, "quantum": 1024}
    core = Core(one_queue(age_cap=NEVER, capacity=9999, tenant_capacity=9999, **batches))

    def side_by_side(count):
        for _ in range(count):
            for tenant, tokens in ((1, first), (2, second)):
                core.submit(item_rows(*[{"tenant": tenant, "tokens": tokens}] * 32), 0)
            ids = core.advance(0)["id"]
            core.finish(np.ascontiguousarray(ids), True, 0)
            yield ids

    for _ in side_by_side(100):
        pass
    # It fits no batch of the others, and is the most urgent of its tenant.
    (lone,), _ = core.submit(item_rows({"tenant": 2, "tokens": 1, "deadline": 10**6}), 0)
    assert any(lone in ids for ids in side_by_side(20))


class Fates:
    """Follows every item, and what a group's members may do, through a core."""

    def __init__(self, plan: Plan) -> None:
        self.core = Core(plan)
        self.plan = plan
        self.waiting: dict[int, dict[str, int]] = {}
        self.in_flight: dict[int, dict[str, int]] = {}
        self.batches: dict[int, list[int]] = {}
        self._leader: dict[tuple[int, int], int] = {}
        self._read: set[tuple[int, int]] = set()

    def submit(self, rows: list[dict[str, int]]) -> None:
        rows = [{**row, "queue": row["queue"] % len(self.plan.queues)} for row in rows]
        ids, _ = self.core.submit(item_rows(*rows), 0)
        for number, row in zip(ids.tolist(), rows, strict=True):
            if number:
                assert number not in self.waiting
                self.waiting[number] = row

    def take(self, events: list[tuple[int, int, int]]) -> None:
        for number, batch, kind in events:
            row = self.waiting.pop(number)
            if kind == EventKind.DISPATCHED:
                self.in_flight[number] = row
                self.batches.setdefault(batch, []).append(number)
                self._check_group(number, row)

    def first_token(self, number: int) -> None:
        self.core.first_token(id_array([number]))
        self._group_is_read(number)

    def finish(self, number: int, ok: bool) -> None:
        assert self.core.finish(id_array([number, number]), ok, 0) == 1
        if ok:
            self._group_is_read(number)
        row = self.in_flight.pop(number)
        group = self._group(row)
        if self._leader.get(group) == number:
            del self._leader[group]
        self._forget(group)

    def cancel(self, number: int) -> None:
        assert self.core.cancel(id_array([number, number])) == 1
        self._forget(self._group(self.waiting.pop(number)))

    def check_batches(self) -> None:
        in_use = [0] * len(self.plan.backbones)
        for batch in self.batches.values():
            alive = [number for number in batch if number in self.in_flight]
            if alive:
                in_use[self._group(self.in_flight[alive[0]])[0]] += 1
        for number, stats in zip(in_use, self.core.backbone_stats(), strict=True):
            assert number == stats["credits_in_use"] <= stats["credits"]

    def _check_group(self, number: int, row: dict[str, int]) -> None:
        group = self._group(row)
        if row["group"] and group not in self._read:
            assert group not in self._leader
            self._leader[group] = number

    def _group_is_read(self, number: int) -> None:
        group = self._group(self.in_flight[number])
        if self._leader.get(group) == number:
            del self._leader[group]
            self._read.add(group)

    def _forget(self, group: tuple[int, int]) -> None:
        alive = [*self.waiting.values(), *self.in_flight.values()]
        if all(self._group(row) != group for row in alive):
            self._read.discard(group)

    def _group(self, row: dict[str, int]) -> tuple[int, int]:
        return self.plan.queues[row["queue"]].backbone, row["group"]


ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "queue": st.integers(0, 3),
            "tenant": st.integers(0, 3),
            "group": st.sampled_from((0, 0, 1, 2)),
            "tokens": st.integers(1, 40),
        }
    ),
    max_size=6,
)
STEPS = st.one_of(
    ROWS,
    st.tuples(st.sampled_from(("cancel", "first_token", "finish", "fail")), st.integers(0, 9)),
    st.just("advance"),
)


@settings(max_examples=150)
@given(plans(leader_timeout=NEVER), st.lists(STEPS, max_size=60), st.booleans())
def test_nothing_is_lost_nothing_comes_twice_and_siblings_wait(plan, steps, close):
    fates = Fates(plan)
    for step in steps:
        match step:
            case list():
                fates.submit(step)
            case "advance":
                fates.take(fates.core.advance(0).tolist())
                fates.check_batches()
            case ("cancel", pick) if fates.waiting:
                fates.cancel(list(fates.waiting)[pick % len(fates.waiting)])
            case ("first_token", pick) if fates.in_flight:
                fates.first_token(list(fates.in_flight)[pick % len(fates.in_flight)])
            case ("finish" | "fail" as how, pick) if fates.in_flight:
                number = list(fates.in_flight)[pick % len(fates.in_flight)]
                fates.finish(number, ok=how == "finish")
    if close:
        fates.take(fates.core.close().tolist())
        assert not fates.waiting
    while fates.waiting or fates.in_flight:
        fates.take(fates.core.advance(0).tolist())
        fates.check_batches()
        assert fates.in_flight  # something always goes
        for number in list(fates.in_flight):
            fates.finish(number, ok=True)
    for stats in fates.core.queue_stats():
        ended = ("dispatched", "cancelled", "expired", "closed")
        assert stats["accepted"] == sum(stats[name] for name in ended)
        assert stats["dispatched"] == stats["finished"] + stats["failed"]
        assert stats["dispatched"] == stats["queued"].sum() == stats["service"].sum()
        assert stats["waiting"] == stats["in_flight"] == 0


def test_newer_work_passes_an_old_request_until_its_age_cap_and_not_after():
    story = Story(one_queue(age_cap=100))
    story.submit("old", born=0)
    gone = ""
    while gone != "old":
        now = story.backbone()["batches"]
        story.submit(f"n{now}", born=now, deadline=now + 30, now=now)
        gone = story.advance(now).split(": ")[1]
        story.finish(gone, now=now)
    assert now == 70  # 70 + 30 is the age cap


def test_two_backbones_do_not_wait_for_each_other():
    plan = Plan((BackbonePlan(1), BackbonePlan(1)), (QueuePlan(0, 9, 9), QueuePlan(1, 9, 9)))
    story = Story(plan)
    story.submit("a b", queue=0)
    assert story.advance() == "1: a"
    story.submit("c", queue=1)
    assert story.advance() == "2: c"
