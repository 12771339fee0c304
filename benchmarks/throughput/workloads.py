"""The workloads: which questions are asked, under which strategy and tiers."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.throughput.rows import CEILING, OURS
from budgetmem.errors import InvalidInput
from budgetmem.modules import MODULES
from budgetmem.tiers import Tier
from training.datasets.base import Question

LLM_ROWS = (
    "reference-shape",
    "all-at-once",
    "all-at-once-instructions-first",
    OURS,
    "ours-no-groups",
    "ours-instructions-first",
    "ours-reference-scheduler",
    CEILING,
)
CONCURRENCY = 32


@dataclass(frozen=True)
class Query:
    """One question as it is sent; every module is pinned to a tier."""

    history: str
    text: str
    tiers: Mapping[str, Tier]


@dataclass(frozen=True)
class Workload:
    """`rows` are those that are of interest; any row may be asked for.

    `tier` None draws the tier of each module of each query. Stages in `local` call no backbone:
    rules answer in its place. `concurrency` is the closed loop's.
    """

    name: str
    about: str
    profile: str
    strategy: str
    tier: Tier | None
    rows: tuple[str, ...] = LLM_ROWS
    local: frozenset[str] = frozenset()
    concurrency: int = CONCURRENCY

    def queries(
        self, questions: Sequence[Question], count: int, seed: int, repeat: int
    ) -> list[Query]:
        """A seeded sample; each repeat has its own, whichever row it is for.

        Raises InvalidInput if there are not so many questions.
        """
        if count > len(questions):
            raise InvalidInput("queries", f"{count} of only {len(questions)} questions")
        rng = random.Random(f"{seed}/{repeat}")
        chosen = rng.sample(list(questions), count)
        return [Query(q.history, q.text, self._tiers(rng)) for q in chosen]

    def _tiers(self, rng: random.Random) -> dict[str, Tier]:
        tiers = list(Tier)
        return {module: rng.choice(tiers) if self.tier is None else self.tier for module in MODULES}


_TABLE = (
    Workload(
        "shared",
        "five LLM calls a query, all to one 0.5B backbone; those of `extract` share their memories",
        profile="small",
        strategy="capacity",
        tier=Tier.MID,
    ),
    Workload(
        "shared-tiny",
        "as `shared`, on a 135M backbone, whose replies run on to their limit",
        profile="tiny",
        strategy="capacity",
        tier=Tier.LOW,
    ),
    Workload(
        "mixed",
        "as `shared`, each call to one of three backbones, drawn with equal chances",
        profile="small",
        strategy="capacity",
        tier=None,
    ),
    Workload(
        "extraction-only",
        "as `shared`, but rules answer in place of the filter and summary calls",
        profile="small",
        strategy="capacity",
        tier=Tier.MID,
        local=frozenset({"filter", "summary"}),
    ),
    Workload(
        "specialist",
        "encoder and tagger work, no LLM call",
        profile="tiny",
        strategy="implementation",
        tier=Tier.MID,
        rows=(
            "all-at-once",
            OURS,
            "ours-no-memory",
            "ours-no-encoder-batching",
            "ours-reference-scheduler",
        ),
    ),
    Workload(
        "local",
        "rules alone, one query at a time; of models, the encoder reads the query",
        profile="tiny",
        strategy="implementation",
        tier=Tier.LOW,
        rows=("all-at-once", OURS, "ours-reference-scheduler"),
        concurrency=1,
    ),
)

WORKLOADS: Mapping[str, Workload] = {workload.name: workload for workload in _TABLE}
