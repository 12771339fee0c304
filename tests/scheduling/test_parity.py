"""The C++ core and the reference make the same decisions: docs/scheduling.md, written twice."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from .twins import Twins
from .workloads import Advance, Close, OnIds, Random, operations, plans

RUNS = 100
OPERATIONS = 2000  # of one run


def drain(twins: Twins) -> None:
    """Finishes what is in flight until nothing waits."""
    before = -1
    while twins.events > before:
        before = twins.events
        twins.apply(OnIds("finish", tuple(range(200)), in_flight=True))
        twins.apply(Advance(None))


@settings(max_examples=150)
@given(plans(), st.lists(operations(), max_size=60), st.booleans())
def test_generated_operations(plan, chosen, close):
    twins = Twins(plan)
    for operation in chosen:
        twins.apply(operation)
    if close:
        twins.apply(Close())
        for operation in chosen[:10]:
            twins.apply(operation)
    drain(twins)


def test_rings_of_many_tenants():
    for seed in range(RUNS // 10):
        workload = Random(seed, tenants=1000)
        twins = Twins(workload.plan())
        for _ in range(OPERATIONS):
            twins.apply(workload.operation())
            if seed % 2:  # most of what comes is cancelled
                twins.apply(OnIds("cancel", (0, 1, 2)))
        drain(twins)


def test_long_random_runs():
    seen: Counter[str] = Counter()
    for seed in range(RUNS):
        workload = Random(seed)
        twins = Twins(workload.plan())
        for _ in range(OPERATIONS - 20):
            twins.apply(workload.operation())
        twins.apply(Close())
        for _ in range(19):
            twins.apply(workload.operation())
        drain(twins)
        seen.update(twins.counts())
    rare = {name: count for name, count in seen.items() if count < 500}
    assert not rare  # every outcome has been compared often
