"""Work side by side, of which nothing goes on by itself when one part of it fails."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

T = TypeVar("T")


async def gather_or_cancel(runs: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """As asyncio.gather, but one failure or cancellation cancels and awaits the others."""
    tasks = [asyncio.create_task(run) for run in runs]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
