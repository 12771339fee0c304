"""Episodes from recorded outcomes: a question's walk through the pipeline, without a model.

A policy goes wherever it likes, as it does when it serves. What a path that was not recorded would
have scored and cost is estimated (training/rollouts/effects.py, part_costs.py); a state that was
not recorded is seen as the recorded one of the same stage that has most tiers in common with it.
The features of the question and of what was retrieved are the same in all of a question's states.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from budgetmem.backbone import Vectors
from budgetmem.errors import InvalidInput
from budgetmem.modules import MODULES
from budgetmem.stages import STAGES
from budgetmem.tiers import Tier
from budgetmem.vectors import mean_direction
from training.policies import Observation
from training.rollouts.effects import Effects
from training.rollouts.outcomes import COSTS, OutcomeFile
from training.rollouts.part_costs import estimated
from training.rollouts.paths import (
    DEPTHS,
    EVERY_PATH,
    LETTERS,
    MODULE_COUNT,
    numbers,
    place_of,
    spell,
)

NODES = tuple(spell(prefix) for depth in DEPTHS.values() for prefix in product(Tier, repeat=depth))
"""Every state in which a module may wait: the tiers chosen before it, as they are spelled."""

STAGE_OF = {module: stage for stage, modules in STAGES.items() for module in modules}


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


@dataclass(frozen=True)
class Estimates:
    """By which it is estimated what paths that were not recorded would have come to: effects on the
    score, and the recorded costs of other questions, float64 [m, 243, parts]."""

    score: Effects
    costs: NDArray[np.float64]

    @staticmethod
    def of(file: OutcomeFile) -> Estimates:
        """By the outcomes of a file. Raises InvalidInput if there are none."""
        if not file.outcomes:
            raise InvalidInput("outcomes", "there are none: an empty split")
        scores, costs = figures(file)
        return Estimates(Effects.fit(scores), costs)


class RecordedEnvironment:
    """The recorded outcomes of some questions, made ready for walks of many at once.

    `score` and `cost` (USD) are float64 [n, 243], a column a path, in the order of
    `paths.EVERY_PATH`: as recorded where `recorded` says so, by `estimates` elsewhere (without
    any given: those of the same outcomes).
    Raises InvalidInput for a file without questions, or a question or chunk without a vector.
    """

    def __init__(
        self, file: OutcomeFile, vectors: Embedded, estimates: Estimates | None = None
    ) -> None:
        estimates = estimates or Estimates.of(file)
        self.questions = tuple(each.question for each in file.outcomes)
        scores, costs = figures(file)
        self.recorded: NDArray[np.bool_] = ~np.isnan(scores)
        self.score = np.clip(estimates.score.estimate(scores), 0.0, 1.0)
        self.cost = estimated(costs, estimates.costs)
        self._query = torch.from_numpy(
            np.stack([_vector(vectors.queries, name) for name in self.questions])
        )
        features: list[tuple[float, ...]] = []
        states: list[Vectors] = []
        nodes: list[list[int]] = []
        for each in file.outcomes:
            own = {name: len(features) + at for at, name in enumerate(each.nodes)}
            nodes.append([own[_nearest(name, own)] for name in NODES])
            features += [node.features for node in each.nodes.values()]
            states += [_state(node.chunks, vectors, each.question) for node in each.nodes.values()]
        self._nodes = np.array(nodes)
        self._features = torch.tensor(features, dtype=torch.float32)
        self._states = torch.from_numpy(np.stack(states))

    @property
    def features(self) -> Tensor:
        """Of all recorded nodes, float32 [nodes, features]: what a policy standardises by."""
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
        """An episode for each place, in order; nothing is masked, and nothing drawn."""
        weights = torch.from_numpy(cost_weights).float()
        nothing = torch.zeros(len(places), len(Tier), dtype=torch.bool)
        chosen = np.zeros((len(places), 0), dtype=np.int64)
        seen = []
        for module, name in enumerate(MODULES):
            known = chosen[:, : DEPTHS[STAGE_OF[name]]]
            seen.append(self._observe(places, known, module, weights))
            tiers = choose(seen[-1], nothing).numpy()
            chosen = np.concatenate([chosen, tiers[:, None]], axis=1)
        at = (places, numbers(chosen))
        return Episodes(
            seen=Observation.join(seen),
            masked=nothing.expand(MODULE_COUNT, -1, -1),
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
        """What is seen where these tiers [n, depth] were chosen before."""
        first = NODES.index(LETTERS[0] * chosen.shape[1])
        nodes = torch.from_numpy(self._nodes[places, first + numbers(chosen)])
        return Observation(
            query=self._query[torch.from_numpy(places)],
            state=self._states[nodes],
            features=self._features[nodes],
            module=torch.full((len(places),), module),
            cost_weight=cost_weight,
        )


def figures(file: OutcomeFile) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Scores, float64 [n, 243], and costs by parts (USD), float64 [n, 243, parts]; NaN where a path
    was not recorded."""
    scores = np.full((len(file.outcomes), len(EVERY_PATH)), np.nan)
    costs = np.full((*scores.shape, COSTS), np.nan)
    for place, each in enumerate(file.outcomes):
        for letters, leaf in each.leaves.items():
            at = place, place_of(letters)
            scores[at], costs[at] = leaf.score, leaf.costs_usd
    return scores, costs


def _nearest(name: str, recorded: Collection[str]) -> str:
    """Of the recorded nodes of the same stage, that with most of the tiers chosen before."""
    of_stage = [each for each in recorded if len(each) == len(name)]
    return max(of_stage, key=lambda each: sum(map(str.__eq__, each, name)))


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
