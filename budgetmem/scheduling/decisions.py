"""Router decisions of many callers, scored together without waiting for one another."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from budgetmem._core import DecisionBatch, DecisionBuffer, choose_tiers
from budgetmem.errors import BackboneError, InvalidInput

Rows = NDArray[np.float32]
"""Features [n, width], logits or probabilities [n, tiers]; C-contiguous."""

Choice = tuple[NDArray[np.uint8], Rows]
"""The chosen tiers [n] and the probabilities [n, tiers]."""


@dataclass(frozen=True)
class _Caller:
    rows: int
    uniforms: NDArray[np.float64] | None
    future: asyncio.Future[Choice]


class DecisionBatcher:
    """Gathers decisions while others are being scored; for one event loop.

    `score` maps features [n, width] to logits [n, tiers], both float32; it runs in `executor`, one
    batch at a time, and must not keep the features, which are read where the callers' rows were
    gathered. `capacity` is how many rows may wait. Raises InvalidInput for a size that is 0.
    """

    def __init__(
        self,
        score: Callable[[Rows], Rows],
        width: int,
        tiers: int,
        capacity: int,
        executor: Executor,
    ) -> None:
        if not 1 <= tiers <= 8:
            raise InvalidInput("tiers", "must be from 1 to 8, the bits of a mask")
        self._score = score
        self._tiers = tiers
        self._executor = executor
        self._buffer = DecisionBuffer(width, capacity)
        self._callers: list[_Caller] = []
        self._scoring: asyncio.Task[list[Choice]] | None = None
        self._next_is_due = False

    async def choose(
        self,
        rows: Rows,
        masks: NDArray[np.uint8],
        uniforms: NDArray[np.float64] | None = None,
    ) -> Choice:
        """One tier for each of `rows` [n, width], of those that `masks` [n] leaves.

        Bit t of a mask forbids tier t; if all are forbidden it is tier 0. The most probable tier is
        chosen, or with `uniforms` [n], in [0, 1), a sample.

        Raises InvalidInput, also for features that are not finite, Overloaded if too many rows
        wait, BackboneError for scores of another shape or NaN, and what `score` raises.
        """
        _check_uniforms(uniforms, len(rows))
        self._buffer.add(rows, masks)
        if not len(rows):
            return np.zeros(0, np.uint8), np.zeros((0, self._tiers), np.float32)
        loop = asyncio.get_running_loop()
        caller = _Caller(len(rows), uniforms, loop.create_future())
        self._callers.append(caller)
        if self._scoring is None and not self._next_is_due:
            self._next_is_due = True
            loop.call_soon(self._score_next)  # with all that come in this tick
        return await caller.future

    def _score_next(self) -> None:
        self._next_is_due = False
        batch = self._buffer.take()
        if batch is None:
            return
        callers, self._callers = self._callers, []
        self._scoring = asyncio.get_running_loop().create_task(self._decide(batch, callers))
        self._scoring.add_done_callback(lambda task: self._deliver(task, callers))

    def _deliver(self, task: asyncio.Task[list[Choice]], callers: Sequence[_Caller]) -> None:
        self._scoring = None
        self._score_next()
        error = None if task.cancelled() else task.exception()
        for at, caller in enumerate(callers):
            if task.cancelled():
                caller.future.cancel()
            elif caller.future.done():
                continue  # cancelled by its caller
            elif error is not None:
                caller.future.set_exception(error)
            else:
                caller.future.set_result(task.result()[at])

    async def _decide(self, batch: DecisionBatch, callers: Sequence[_Caller]) -> list[Choice]:
        loop = asyncio.get_running_loop()
        logits = await loop.run_in_executor(self._executor, self._score, batch.features)
        self._check_logits(logits, len(batch.masks))
        logits = np.ascontiguousarray(logits)
        choices = []
        start = 0
        for caller in callers:
            part = slice(start, start + caller.rows)
            choices.append(choose_tiers(logits[part], batch.masks[part], caller.uniforms))
            start += caller.rows
        return choices

    def _check_logits(self, logits: Rows, rows: int) -> None:
        expected = (rows, self._tiers)
        if logits.shape != expected or logits.dtype != np.float32:
            raise BackboneError(
                f"the router gave {logits.dtype} {list(logits.shape)}, not float32 {list(expected)}"
            )
        if np.isnan(logits).any():
            raise BackboneError("the router gave NaN")


def _check_uniforms(uniforms: NDArray[np.float64] | None, rows: int) -> None:
    """Before the rows join a batch: later it would fail with the batch's other callers."""
    if uniforms is None:
        return
    if uniforms.shape != (rows,) or uniforms.dtype != np.float64:
        raise InvalidInput("uniforms", f"must be float64 [{rows}]")
    if not ((uniforms >= 0) & (uniforms < 1)).all():
        raise InvalidInput("uniforms", "must be in [0, 1)")
