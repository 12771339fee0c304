"""One heavy piece of work a turn of the event loop."""

import asyncio
from collections import Counter

from budgetmem.loop_turns import LoopTurns


async def counted(seconds_of_turns: list[int]) -> None:
    while True:
        seconds_of_turns[0] += 1
        await asyncio.sleep(0)


async def test_pieces_run_in_turns_of_their_own_in_order():
    turns, now, ran = LoopTurns(), [0], []

    async def piece(name):
        await turns.take()
        ran.append((name, now[0]))

    ticking = asyncio.create_task(counted(now))
    await asyncio.gather(*(piece(name) for name in range(5)))
    ticking.cancel()
    assert [name for name, _ in ran] == [0, 1, 2, 3, 4]
    assert Counter(at for _, at in ran).most_common(1)[0][1] == 1


async def test_a_lone_piece_does_not_wait():
    turns = LoopTurns()
    task = asyncio.ensure_future(turns.take())
    await asyncio.sleep(0)
    assert task.done()


async def test_one_who_leaves_gives_the_turn_to_the_next():
    turns = LoopTurns()
    first, left, last = (asyncio.ensure_future(turns.take()) for _ in range(3))
    await asyncio.sleep(0)
    left.cancel()
    await asyncio.gather(first, last)
    assert left.cancelled()
    await turns.take()
