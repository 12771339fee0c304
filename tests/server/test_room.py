"""So much at a time, in total and of one tenant."""

from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from budgetmem.errors import Overloaded
from server.room import CHECK, WATCHES, CallLimits, Room, Rooms, Share


def test_who_finds_no_place_is_told_to_come_back():
    room = Room(Share(2, 2), "calls")
    refusal = pytest.raises(Overloaded, match="2 calls in all")
    with room.place("ana"), room.place("ben"), refusal as refused, room.place("cyn"):
        pass
    assert refused.value.retry_after_ms > 0
    with room.place("cyn"):
        pass


def test_one_tenant_leaves_room_for_others():
    room = Room(Share(5, 2), "calls")
    with room.place("ana"), room.place("ana"):
        with pytest.raises(Overloaded, match="2 calls of one tenant"), room.place("ana"):
            pass
        with room.place("ben"):
            pass


def test_a_call_that_fails_gives_its_place_back():
    room = Room(Share(1, 1), "calls")
    with pytest.raises(ValueError, match="disk"), room.place("ana"):
        raise ValueError("disk")
    with room.place("ana"):
        pass


def test_large_things_take_more_of_it_and_anything_goes_where_nothing_else_is():
    room = Room(Share(100, 60), "bytes")
    with room.place("ana", 50):
        with pytest.raises(Overloaded), room.place("ana", 11):
            pass
        with room.place("ana", 10), pytest.raises(Overloaded), room.place("ben", 41):
            pass
    with room.place("ana", 1000), pytest.raises(Overloaded), room.place("ben", 1):
        pass


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 3), st.booleans()), max_size=60))
def test_no_more_than_may_be_is_inside(steps):
    share = Share(7, 4)
    room, inside = Room(share, "calls"), []
    for tenant, size, leaves in steps:
        if leaves and inside:
            inside.pop(0)[-1].close()
            continue
        place = ExitStack()
        total = sum(held for _, held, _ in inside)
        own = sum(held for name, held, _ in inside if name == tenant)
        full = (total and total + size > share.total) or (own and own + size > share.tenant)
        try:
            place.enter_context(room.place(tenant, size))
        except Overloaded:
            assert full
        else:
            assert not full
            inside.append((tenant, size, place))


@pytest.mark.parametrize("outlives", [False, True])
def test_a_place_that_is_lent_is_one_until_both_who_hold_it_have_ended(outlives):
    rooms, asked = Rooms(CallLimits(calls=Share(1, 1))), ("/budgetmem.v1.MemoryService/Extract", "")
    lender, borrower = ExitStack(), ExitStack()
    name = lender.enter_context(rooms.lending(*asked))
    borrower.enter_context(rooms.place(*asked, name))
    first, last = (lender, borrower) if outlives else (borrower, lender)
    for ended in (first, last):
        with pytest.raises(Overloaded), rooms.place(*asked, "made up"):
            pass
        ended.close()
    with rooms.place(*asked, name), pytest.raises(Overloaded), rooms.lending(*asked):
        pass
    with rooms.lending(*asked):
        pass


def test_who_watches_health_leaves_room_for_who_checks_it():
    rooms = Rooms(CallLimits())
    with ExitStack() as watching:
        for _ in range(WATCHES.total):
            watching.enter_context(rooms.place("/grpc.health.v1.Health/Watch", ""))
        with pytest.raises(Overloaded, match="watches"):
            watching.enter_context(rooms.place("/grpc.health.v1.Health/Watch", ""))
        with rooms.place(CHECK, ""), rooms.place("/budgetmem.v1.MemoryService/Extract", "ana"):
            pass
