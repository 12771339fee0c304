"""Several processes on one history: nothing acknowledged is lost, nothing deleted comes back."""

import json
import subprocess
import sys

import pytest

from budgetmem.store.opening import opened

# Three processes that start at once, on a machine that has other work.
pytestmark = pytest.mark.timeout(400)


def race(place, *roles):
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.store.racer", place, role, str(count)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for role, count in roles
    ]
    results = [json.loads(process.communicate(timeout=360)[0]) for process in running]
    assert all(process.returncode == 0 for process in running)
    return results


def test_writers_of_one_session_lose_nothing(new_place):
    place = new_place()
    done = race(place, ("ana", 15), ("ben", 15), ("cleo", 15))
    with opened(place) as store:
        kept = [turn.id for turn in store.turns("t", "h")]
        state = store.snapshot("t", "h", ["s"], []).sessions["s"]
    assert sorted(kept) == sorted(name for each in done for name in each)
    for each in done:
        assert [name for name in kept if name in each] == each, "a writer's order is kept"
    assert len(state.unit_ids) == len(kept), "one window a turn, no stale one"


def test_every_turn_is_either_deleted_and_counted_or_there(new_place):
    place = new_place()
    first, second, removed = race(place, ("ana", 25), ("ben", 25), ("delete", 20))
    with opened(place) as store:
        kept = len(list(store.turns("t", "h"))) if any(store.histories("t")) else 0
    assert kept + sum(removed) == len(first) + len(second)
