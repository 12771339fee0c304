"""A callback-observed coroutine as an asynchronous iterator."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, TypeVar

Event = TypeVar("Event")
Result = TypeVar("Result")


async def observed(
    run: Callable[[Callable[[Event], None]], Awaitable[Result]],
) -> AsyncGenerator[Event | Result, None]:
    """Yields what `run` tells its observer, as it tells it, then what `run` returns.

    Raises what `run` raises. Whoever stops listening cancels `run` and waits until it has ended.
    """
    end = object()
    told: asyncio.Queue[Any] = asyncio.Queue()
    running = asyncio.ensure_future(run(told.put_nowait))
    running.add_done_callback(lambda _: told.put_nowait(end))
    try:
        while (event := await told.get()) is not end:
            yield event
        yield running.result()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
