"""The router's micro-batches in C++: any rows, masks and logits."""

from __future__ import annotations

from contextlib import suppress

import numpy as np

from benchmarks.chaos.fuzz.arrays import given, integer, numbers
from benchmarks.chaos.fuzz.native import REFUSED, STEPS
from benchmarks.chaos.fuzz.rules import expect
from benchmarks.chaos.fuzz.source import Source
from budgetmem import _core

WIDEST = 16
"""Columns of the rows that are added."""


def decisions(data: bytes) -> None:
    """A DecisionBuffer that is filled and emptied, and the choice of tiers."""
    source = Source(data)
    width = 1 + source.below(4) if source.below(4) else integer(source)
    with suppress(*REFUSED):
        buffer = _core.DecisionBuffer(width, 8 if source.below(4) else integer(source))
        batch = None
        for _ in range(STEPS):
            if source.empty:
                break
            call = source.below(4)
            with suppress(*REFUSED):
                if call == 0:
                    _choose(source)
                elif call == 1:
                    batch = buffer.take() or batch
                else:
                    _add(buffer, width, source)
            _check(batch, width)


def _add(buffer: _core.DecisionBuffer, width: int, source: Source) -> None:
    count, before = source.below(6), len(buffer)
    rows = numbers(source, (count, min(width, WIDEST)), np.float32)
    buffer.add(given(source, rows), given(source, np.zeros(count, np.uint8)))
    expect(len(buffer) >= before, "what is added waits")


def _check(batch: _core.DecisionBatch | None, width: int) -> None:
    if batch is not None:
        count = len(batch.masks)
        expect(batch.features.shape == (count, width), "a batch has a row a decision")
        expect(bool(np.isfinite(batch.features).all()), "rows are finite")
        expect(not batch.masks.flags.writeable, "masks are read-only")
        batch.features[...] = 1.0


def _choose(source: Source) -> None:
    count, tiers = source.below(5), source.below(10)
    masks = numbers(source, (count,), np.uint8)
    logits = numbers(source, (count, tiers), np.float32)
    uniforms = numbers(source, (count,), np.float64) if source.below(2) else None
    chosen, chances = _core.choose_tiers(
        given(source, logits),
        given(source, masks),
        None if uniforms is None else given(source, uniforms),
    )
    expect(bool(np.all(chances >= 0)), "chances are not negative")
    expect(np.allclose(chances.sum(axis=1), 1.0), "chances add up to 1")
    expect(bool(np.all(chosen < chances.shape[1])), "a tier that there is, is chosen")
