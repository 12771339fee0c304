"""The trained router: one ONNX graph that chooses the tiers of all modules, for every lambda."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from budgetmem.errors import BackboneUnavailable
from budgetmem.features import router_inputs
from budgetmem.info import CostWeights, Frontier
from budgetmem.modules import MODULES
from budgetmem.router import Decision, FixedRouter, check_cost_weight
from budgetmem.router_artifact import Artifact
from budgetmem.router_frontier import frontier_of
from budgetmem.router_graph import OUTPUT, Feeds
from budgetmem.scheduling.decisions import DecisionBatcher, Rows
from budgetmem.tiers import Tier
from budgetmem.types import Choice

CAPACITY = 4096
"""Decisions that may wait for the batch before them; three a request at most."""

_PLACES = {name: place for place, name in enumerate(MODULES)}
_PINNED = FixedRouter()


@dataclass(frozen=True)
class RowLayout:
    """Where in a row of float32 the inputs of the graph lie, one after the other.

    query [dimension], state [dimension], features [features], module id, cost weight. The id is
    exact: float32 holds every integer up to 2^24.
    """

    dimension: int
    features: int

    @property
    def width(self) -> int:
        """How many numbers a row has."""
        return 2 * self.dimension + self.features + 2

    def feeds(self, rows: Rows) -> Feeds:
        """The graph's inputs, of rows [n, width]."""
        query, state, features = np.split(
            rows[:, :-2], [self.dimension, 2 * self.dimension], axis=1
        )
        return {
            "query": np.ascontiguousarray(query),
            "state": np.ascontiguousarray(state),
            "features": np.ascontiguousarray(features),
            "module": rows[:, -2].astype(np.int64),
            "cost_weight": np.ascontiguousarray(rows[:, -1]),
        }


class PolicyRouter:
    """Chooses by a trained policy; for one event loop.

    Decisions of all requests are scored together in `executor`, which stays the caller's. Each gets
    the most probable tier of those that are not masked, or with `sample` one that is drawn by the
    probabilities; the draws follow from `seed` and the order of the calls.
    """

    def __init__(
        self, artifact: Artifact, *, executor: Executor, sample: bool = False, seed: int = 0
    ) -> None:
        self._card = artifact.card
        self._session = artifact.session
        self._layout = RowLayout(artifact.card.encoder.dimension, len(artifact.card.features))
        self._random = np.random.default_rng(seed) if sample else None
        self._batcher = DecisionBatcher(
            self.score, self._layout.width, len(Tier), CAPACITY, executor
        )
        self._waiting = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._closed = False

    @property
    def version(self) -> str:
        """The artifact's, for receipts."""
        return self._card.version

    @property
    def strategy(self) -> str:
        """The strategy that it was trained for."""
        return self._card.strategy

    @property
    def cost_weights(self) -> CostWeights:
        """Those that it was trained for."""
        return CostWeights(self._card.cost_weight.min, self._card.cost_weight.max)

    @property
    def frontier(self) -> Frontier | None:
        """What it scored and cost when it was trained, if its card tells."""
        return frontier_of(self._card)

    def score(self, rows: Rows) -> Rows:
        """Logits float32 [n, tiers] of rows [n, RowLayout.width]. Any thread.

        Raises BackboneError if ONNX Runtime fails.
        """
        logits: Rows = self._session.run([OUTPUT], self._layout.feeds(rows))[OUTPUT]
        return logits

    async def choose(self, decisions: Sequence[Decision]) -> Sequence[Choice]:
        """One choice a decision, in order.

        Pins are kept as far as the masks allow, without asking the policy. The probabilities are
        over the tiers that are not masked; where all are, LOW has all of it. Without a cost weight
        the least one counts that the router was trained for.

        Raises InvalidInput for a cost weight that the router was not trained for, Overloaded if
        too many decisions wait, BackboneUnavailable once it is closed, BackboneError if scoring
        fails.
        """
        if self._closed:
            raise BackboneUnavailable(f"the router {self.version} is closed")
        chosen: dict[int, Choice] = {}
        free = {at: each for at, each in enumerate(decisions) if each.pinned is None}
        pinned = {at: each for at, each in enumerate(decisions) if each.pinned is not None}
        chosen.update(zip(pinned, await _PINNED.choose(list(pinned.values())), strict=True))
        chosen.update(zip(free, await self._ask(list(free.values())), strict=True))
        return [chosen[at] for at in range(len(decisions))]

    async def close(self) -> None:
        """Refuses further decisions, and returns when those that wait are made."""
        self._closed = True
        await self._idle.wait()

    async def _ask(self, decisions: Sequence[Decision]) -> list[Choice]:
        rows = self._rows(decisions)
        masks = np.array(
            [sum(1 << tier for tier in each.masked) for each in decisions], dtype=np.uint8
        )
        uniforms = None if self._random is None else self._random.random(len(decisions))
        self._waiting += 1
        self._idle.clear()
        try:
            tiers, probabilities = await self._batcher.choose(rows, masks, uniforms)
        finally:
            self._waiting -= 1
            if not self._waiting:
                self._idle.set()
        return [
            Choice(Tier(tier), (low, mid, high), each.masked, self._cost_weight(each))
            for each, tier, (low, mid, high) in zip(
                decisions, tiers.tolist(), probabilities.tolist(), strict=True
            )
        ]

    def _rows(self, decisions: Sequence[Decision]) -> Rows:
        """What the policy sees, float32 [n, width]; a state that many wait in is read once."""
        rows = np.empty((len(decisions), self._layout.width), dtype=np.float32)
        seen: dict[tuple[int, str], NDArray[np.float32]] = {}
        for row, each in zip(rows, decisions, strict=True):
            key = (id(each.state), each.stage)
            if key not in seen:
                seen[key] = np.concatenate(
                    router_inputs(
                        each.state, each.stage, self._layout.dimension, self._card.features
                    )
                )
            row[:-2] = seen[key]
            row[-2:] = _PLACES[each.module], self._cost_weight(each)
        return rows

    def _cost_weight(self, decision: Decision) -> float:
        check_cost_weight(self, decision.cost_weight)
        given = decision.cost_weight
        return self._card.cost_weight.min if given is None else given
