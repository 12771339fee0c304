"""Episodes from recorded outcomes: a question's walk through the pipeline, without a model.

Where not all paths were recorded, a tier by which no recorded path goes on is masked. The modules
of the stage in the middle are independent when the pipeline serves; here they choose one after the
other, in an order that is drawn anew, so that a mask does not favour one of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from budgetmem.backbone import Vectors
from budgetmem.errors import InvalidInput
from budgetmem.tiers import Tier
from budgetmem.vectors import mean_direction
from training.policies import Observation
from training.rollouts.outcomes import OutcomeFile
from training.rollouts.paths import LETTERS, MODULE_COUNT

TIERS = len(Tier)
_GRID = (TIERS,) * MODULE_COUNT
_FILTER, _SUMMARY = 0, MODULE_COUNT - 1
_MIDDLE = tuple(range(1, _SUMMARY))


class Chooser(Protocol):
    """Chooses tiers: `masked` is bool [n, tiers], the answer int64 [n]."""

    def __call__(self, seen: Observation, masked: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class Episodes:
    """What a batch of questions came to, a row each.

    `seen` has the rows of all decisions, of module 0 first ([modules * n] rows); `masked` is bool
    [modules, n, tiers], `tiers` int64 [modules, n]. `scores` (in [0, 1]), `costs` (USD, the answer
    included) and `cost_weights` (lambda) are float64 [n].
    """

    seen: Observation
    masked: Tensor
    tiers: Tensor
    scores: NDArray[np.float64]
    costs: NDArray[np.float64]
    cost_weights: NDArray[np.float64]


class Environment(Protocol):
    """Questions to walk: `RecordedEnvironment`, or `training.rollouts.live.LiveEnvironment`."""

    @property
    def questions(self) -> Sequence[object]:
        """What there is to walk; a place is an index into it."""
        ...

    def walk(
        self,
        places: NDArray[np.int64],
        cost_weights: NDArray[np.float64],
        choose: Chooser,
        random: np.random.Generator,
    ) -> Episodes:
        """Walks the questions at `places` [n], with lambdas [n].

        There may be fewer episodes than places: a question whose models failed has none.
        """
        ...


@dataclass(frozen=True)
class Embedded:
    """The vectors of questions, by their ids, and of chunks, by those of a question and a chunk.

    A chunk's vector is that of what the question found in it: two questions that retrieve the same
    chunk need not have the same vector of it.
    """

    queries: Mapping[str, Vectors]
    chunks: Mapping[tuple[str, str], Vectors]


class RecordedEnvironment:
    """The recorded outcomes of some questions, made ready for walks of many at once.

    Raises InvalidInput for a file without questions, or a question or chunk without a vector.
    """

    def __init__(self, file: OutcomeFile, vectors: Embedded) -> None:
        if not file.outcomes:
            raise InvalidInput("outcomes", "there are none: an empty split")
        self.questions = tuple(each.question for each in file.outcomes)
        self.score = np.full((len(file.outcomes), *_GRID), np.nan)
        self.cost = np.full((len(file.outcomes), *_GRID), np.nan)
        self._query = torch.from_numpy(
            np.stack([_vector(vectors.queries, name) for name in self.questions])
        )
        features: list[tuple[float, ...]] = []
        states: list[Vectors] = []
        self._nodes: list[dict[str, int]] = []
        for place, each in enumerate(file.outcomes):
            for letters, leaf in each.leaves.items():
                at = (place, *(LETTERS.index(letter) for letter in letters))
                self.score[at] = leaf.score
                self.cost[at] = leaf.cost_usd
            self._nodes.append({name: len(features) + at for at, name in enumerate(each.nodes)})
            features += [node.features for node in each.nodes.values()]
            states += [_state(node.chunks, vectors, each.question) for node in each.nodes.values()]
        self._features = torch.tensor(features, dtype=torch.float32)
        self._states = torch.from_numpy(np.stack(states))
        self._known = ~np.isnan(self.score)

    @property
    def features(self) -> Tensor:
        """Of all nodes, float32 [nodes, features]: what a policy standardises by."""
        return self._features

    @property
    def queries(self) -> Tensor:
        """The questions' vectors, float32 [questions, dimension]."""
        return self._query

    @property
    def dimension(self) -> int:
        """Of the embeddings."""
        return int(self._query.shape[1])

    def walk(
        self,
        places: NDArray[np.int64],
        cost_weights: NDArray[np.float64],
        choose: Chooser,
        random: np.random.Generator,
    ) -> Episodes:
        """An episode for each place, in order."""
        weights = torch.from_numpy(cost_weights).float()
        middle = [int(module) for module in random.permutation(_MIDDLE)]
        chosen = np.full((len(places), MODULE_COUNT), -1, dtype=np.int64)
        seen: dict[int, Observation] = {}
        masked: dict[int, Tensor] = {}
        for module in (_FILTER, *middle, _SUMMARY):
            depth = {_FILTER: 0, _SUMMARY: _SUMMARY}.get(module, 1)
            seen[module] = self._observe(places, chosen[:, :depth], module, weights)
            masked[module] = torch.from_numpy(~self._open(places, chosen, module))
            chosen[:, module] = choose(seen[module], masked[module]).numpy()
        order = range(MODULE_COUNT)
        at = (places, *chosen.T)
        return Episodes(
            seen=Observation.join([seen[module] for module in order]),
            masked=torch.stack([masked[module] for module in order]),
            tiers=torch.from_numpy(chosen.T.copy()),
            scores=self.score[at],
            costs=self.cost[at],
            cost_weights=cost_weights,
        )

    def _observe(
        self,
        places: NDArray[np.int64],
        chosen: NDArray[np.int64],
        module: int,
        cost_weight: Tensor,
    ) -> Observation:
        names = ("".join(LETTERS[tier] for tier in row) for row in chosen)
        nodes = torch.tensor(
            [self._nodes[place][name] for place, name in zip(places, names, strict=True)]
        )
        return Observation(
            query=self._query[torch.from_numpy(places)],
            state=self._states[nodes],
            features=self._features[nodes],
            module=torch.full((len(places),), module),
            cost_weight=cost_weight,
        )

    def _open(
        self, places: NDArray[np.int64], chosen: NDArray[np.int64], module: int
    ) -> NDArray[np.bool_]:
        """Bool [n, tiers]: whether some recorded path has the tiers chosen so far and this one."""
        known = np.moveaxis(self._known[places], module + 1, 1)
        others = [other for other in range(MODULE_COUNT) if other != module]
        for axis, other in reversed(list(enumerate(others, start=2))):
            fixed = chosen[:, other]
            one = np.take_along_axis(
                known, np.maximum(fixed, 0).reshape(-1, *[1] * (known.ndim - 1)), axis
            ).squeeze(axis)
            some = known.any(axis=axis)
            known = np.where((fixed >= 0).reshape(-1, *[1] * (some.ndim - 1)), one, some)
        return known


def _vector(vectors: Mapping[str, Vectors], name: str) -> Vectors:
    if name not in vectors:
        raise InvalidInput(name, "has no vector: was the recording made from other data?")
    return vectors[name]


def _state(chunks: Sequence[str], vectors: Embedded, question: str) -> Vectors:
    """The direction of a state's chunks. With some of them left out it would be another state's."""
    if not chunks:
        raise InvalidInput(question, "has a state without chunks: was nothing retrieved?")
    for chunk in chunks:
        if (question, chunk) not in vectors.chunks:
            raise InvalidInput(
                question,
                f"its chunk {chunk!r} has no vector: was the recording made from other data?",
            )
    return mean_direction([vectors.chunks[question, chunk] for chunk in chunks])
