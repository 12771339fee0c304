"""What a core cannot work with is refused by the reference and by C++, with the same field."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from budgetmem import _core
from budgetmem.errors import InvalidInput
from budgetmem.scheduling import reference
from budgetmem.scheduling.interface import (
    ITEM,
    MAX_TOKENS,
    NEVER,
    BackbonePlan,
    Core,
    Plan,
    QueuePlan,
)

from .story import id_array, item_rows, one_queue

CORES = pytest.mark.parametrize("core", [reference.Core, _core.Core], ids=["reference", "native"])


def backbone(**fields) -> Plan:
    return replace(
        one_queue(), backbones=(BackbonePlan(1), BackbonePlan(**{"credits": 1, **fields}))
    )


def queue(**fields) -> Plan:
    given = {"backbone": 0, "capacity": 1, "tenant_capacity": 1, **fields}
    return replace(one_queue(), queues=(QueuePlan(0, 1, 1), QueuePlan(**given)))


@CORES
@pytest.mark.parametrize(
    ("plan", "field"),
    [
        (replace(one_queue(), backbones=()), "backbones"),
        (replace(one_queue(), queues=()), "queues"),
        (backbone(credits=0), "backbones[1].credits"),
        (backbone(credits=-1), "backbones[1].credits"),
        (backbone(credits=2**32), "backbones[1].credits"),
        (backbone(credits=True), "backbones[1].credits"),
        (backbone(credits=1.0), "backbones[1].credits"),
        (backbone(batch_items=0), "backbones[1].batch_items"),
        (backbone(batch_tokens=-1), "backbones[1].batch_tokens"),
        (backbone(pads=1), "backbones[1].pads"),
        (backbone(fixed=-1), "backbones[1].fixed"),
        (backbone(per_token=-1), "backbones[1].per_token"),
        (backbone(leader_timeout=-1), "backbones[1].leader_timeout"),
        (backbone(leader_timeout=NEVER + 1), "backbones[1].leader_timeout"),
        (backbone(device=-1), "backbones[1].device"),
        (queue(backbone=1), "queues[1].backbone"),
        (queue(capacity=0), "queues[1].capacity"),
        (queue(tenant_capacity=0), "queues[1].tenant_capacity"),
        (replace(one_queue(), quantum=0), "quantum"),
        (replace(one_queue(), age_cap=-1), "age_cap"),
        (replace(one_queue(), device_turn=0), "device_turn"),
    ],
)
def test_plans(core: type[Core], plan: Plan, field: str) -> None:
    with pytest.raises(InvalidInput) as error:
        core(plan)
    assert error.value.field == f"plan.{field}"


@CORES
@pytest.mark.parametrize(
    ("rows", "field"),
    [
        ([{}, {"queue": 1}], "items[1].queue"),
        ([{}, {}, {"tokens": 0}], "items[2].tokens"),
        ([{"tokens": MAX_TOKENS + 1}], "items[0].tokens"),
        ([{"tokens": 0, "queue": 1}], "items[0].queue"),
        ([{"tokens": 0}, {"queue": 1}], "items[0].tokens"),
    ],
)
def test_of_items_one_of_which_is_wrong_none_is_admitted(
    core: type[Core], rows: list[dict[str, int]], field: str
) -> None:
    one = core(one_queue())
    with pytest.raises(InvalidInput) as error:
        one.submit(item_rows(*rows), 0)
    assert error.value.field == field
    assert one.queue_stats()[0]["accepted"] == 0
    assert len(one.advance(0)) == 0


@CORES
@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda core: core.submit([], 0), "items"),
        (lambda core: core.submit(np.zeros(2, dtype=np.uint64), 0), "items"),
        (lambda core: core.submit(item_rows({}, {})[::2], 0), None),  # one item is contiguous
        (lambda core: core.submit(item_rows({}, {}, {})[::2], 0), "items"),
        (lambda core: core.submit(item_rows({}).reshape(1, 1), 0), "items"),
        (lambda core: core.submit(np.zeros((), dtype=ITEM), 0), "items"),
        (lambda core: core.submit(item_rows({}).astype(ITEM.newbyteorder()), 0), "items"),
        (lambda core: core.submit(item_rows({}), 0.0), "now"),
        (lambda core: core.submit(item_rows({}), NEVER + 1), "now"),
        (lambda core: core.advance(-NEVER - 2), "now"),
        (lambda core: core.finish(id_array([1]), True, None), "now"),
        (lambda core: core.finish([1], True, 0), "ids"),
        (lambda core: core.cancel(np.array([1])), "ids"),
        (lambda core: core.cancel(id_array([1, 2, 3, 4])[::2]), "ids"),
        (lambda core: core.first_token(id_array([1, 2]).reshape(2, 1)), "ids"),
        (lambda core: core.set_credits(0, 0), "credits"),
        (lambda core: core.set_credits(0, 2**32), "credits"),
        (lambda core: core.set_credits(1, 1), "backbone"),
        (lambda core: core.set_credits(-1, 1), "backbone"),
    ],
)
def test_arguments(core: type[Core], call: Callable[[Core], object], field: str | None) -> None:
    one = core(one_queue())
    if field is None:
        call(one)
        return
    with pytest.raises(InvalidInput) as error:
        call(one)
    assert error.value.field == field


@CORES
def test_unaligned_arrays_are_refused(core: type[Core]) -> None:
    shifted = np.zeros(9, dtype=np.uint8)[1:].view(np.uint64)
    with pytest.raises(InvalidInput) as error:
        core(one_queue()).cancel(shifted)
    assert error.value.field == "ids"


@CORES
def test_no_items_and_no_ids_are_fine(core: type[Core]) -> None:
    one = core(one_queue())
    ids, answers = one.submit(item_rows(), 0)
    assert (len(ids), len(answers)) == (0, 0)
    assert one.cancel(id_array([])) == 0
    assert one.finish(id_array([]), True, 0) == 0


@CORES
def test_a_time_that_the_clock_cannot_hold_is_the_longest_it_can(core: type[Core]) -> None:
    one = core(one_queue())
    ids, _ = one.submit(item_rows({}), -NEVER - 1)
    assert len(one.advance(NEVER)) == 1
    assert one.finish(ids, True, -NEVER - 1) == 1
    (queue,) = one.queue_stats()
    assert (queue["queued_ns"], queue["service_ns"]) == (NEVER, 0)
    assert (queue["queued"].sum(), queue["service"][0]) == (1, 1)
