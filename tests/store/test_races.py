"""Several processes on one history: nothing acknowledged is lost, nothing deleted comes back."""

import json
import subprocess
import sys

from budgetmem.store.sqlite import SqliteStore


def race(root, *roles):
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.store.racer", str(root), role, str(count)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for role, count in roles
    ]
    results = [json.loads(process.communicate(timeout=120)[0]) for process in running]
    assert all(process.returncode == 0 for process in running)
    return results


def test_writers_of_one_session_lose_nothing(tmp_path):
    done = race(tmp_path, ("ana", 15), ("ben", 15), ("cleo", 15))
    store = SqliteStore(tmp_path)
    kept = [turn.id for turn in store.turns("t", "h")]
    assert sorted(kept) == sorted(name for each in done for name in each)
    for each in done:
        assert [name for name in kept if name in each] == each, "a writer's order is kept"
    state = store.snapshot("t", "h", ["s"], []).sessions["s"]
    assert len(state.unit_ids) == len(kept), "one window a turn, no stale one"


def test_every_turn_is_either_deleted_and_counted_or_there(tmp_path):
    first, second, removed = race(tmp_path, ("ana", 25), ("ben", 25), ("delete", 20))
    store = SqliteStore(tmp_path)
    kept = len(store.turns("t", "h")) if store.histories("t") else 0
    assert kept + sum(removed) == len(first) + len(second)
