"""Calls on histories: so many at a time, in total and of one tenant."""

from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from budgetmem.errors import Overloaded
from server.room import Room, StoreLimits


def test_who_finds_no_place_is_told_to_come_back():
    room = Room(StoreLimits(calls=2, tenant_calls=2))
    refusal = pytest.raises(Overloaded)
    with room.place("ana"), room.place("ben"), refusal as refused, room.place("cyn"):
        pass
    assert refused.value.retry_after_ms > 0
    with room.place("cyn"):
        pass


def test_one_tenant_leaves_room_for_others():
    room = Room(StoreLimits(calls=5, tenant_calls=2))
    with room.place("ana"), room.place("ana"):
        with pytest.raises(Overloaded, match="2 calls of this tenant"), room.place("ana"):
            pass
        with room.place("ben"):
            pass


def test_a_call_that_fails_gives_its_place_back():
    room = Room(StoreLimits(calls=1, tenant_calls=1))
    with pytest.raises(ValueError, match="disk"), room.place("ana"):
        raise ValueError("disk")
    with room.place("ana"):
        pass


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=60))
def test_no_more_than_may_be_are_inside(steps):
    limits = StoreLimits(calls=4, tenant_calls=2)
    room, inside = Room(limits), []
    for tenant, leaves in steps:
        if leaves and inside:
            inside.pop(0)[1].close()
            continue
        place = ExitStack()
        held = [name for name, _ in inside]
        full = len(held) >= limits.calls or held.count(tenant) >= limits.tenant_calls
        try:
            place.enter_context(room.place(tenant))
        except Overloaded:
            assert full
        else:
            assert not full
            inside.append((tenant, place))
