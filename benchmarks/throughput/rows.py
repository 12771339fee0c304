"""The rows: ways of making the model calls of one and the same service."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from benchmarks.throughput import layers
from benchmarks.throughput.layers import Layered
from budgetmem.backbone import Models
from budgetmem.config import ENCODER, Profile
from budgetmem.scheduling.interface import Plan, Scheduler
from budgetmem.scheduling.models import REMEMBERED, ScheduledModels
from budgetmem.scheduling.plans import plan_of
from budgetmem.scheduling.reference_scheduler import ReferenceScheduler
from budgetmem.scheduling.tier_scheduler import TierScheduler

OURS = "ours"
CEILING = "ceiling"
CEILING_ABOUT = (
    "the very prompts of `ours`, offline on the engine alone, in the best of several orders; "
    "no service, no Triton, no encoder or tagger work"
)


def _cpp(plan: Plan) -> Scheduler:
    # Rows without it can be measured where the extension is not built.
    from budgetmem import _core  # noqa: PLC0415

    return _core.Scheduler(plan)


CPP: Callable[[Plan], Scheduler] = _cpp
PYTHON: Callable[[Plan], Scheduler] = ReferenceScheduler


@dataclass(frozen=True)
class Row:
    """One way of making the calls. Without a scheduler they go straight to Triton.

    `remembered` is how many recent texts' embeddings and annotations the scheduler's side keeps.
    """

    name: str
    about: str
    scheduler: Callable[[Plan], Scheduler] | None = CPP
    memories_first: bool = True
    groups: bool = True
    in_series: bool = False
    remembered: int = REMEMBERED
    encoder_batches: bool = True
    turns: bool = True

    @asynccontextmanager
    async def around(self, models: Models, profile: Profile) -> AsyncIterator[Models]:
        """`models` behind what the row puts in front of them; `profile` has their templates."""
        if self.scheduler is None:
            yield self._layered(models, profile)
            return
        async with self._open(self.scheduler, profile) as scheduler:
            behind = ScheduledModels(
                models,
                scheduler,
                remembered=self.remembered,
                encoder_tokens=profile.encoder.max_tokens,
            )
            yield self._layered(behind, profile)

    def _layered(self, models: Models, profile: Profile) -> Models:
        if not self.groups:
            models = Layered(models, layers.without_groups())
        if not self.memories_first:
            models = Layered(models, layers.instructions_first(profile))
        if self.in_series:
            models = Layered(models, layers.in_series())
        return models

    def _open(self, make: Callable[[Plan], Scheduler], profile: Profile) -> TierScheduler:
        plan, queues = plan_of(profile)
        if not self.encoder_batches:
            places = {
                plan.queues[at].backbone for (_, model), at in queues.items() if model == ENCODER
            }
            plan = _without_batches(plan, places)
        if not self.turns:
            plan = _without_turns(plan)
        return TierScheduler(make(plan), queues)


def _without_batches(plan: Plan, places: set[int]) -> Plan:
    """Queues keep their capacities, which are texts."""
    backbones = (
        replace(each, batch_items=1) if place in places else each
        for place, each in enumerate(plan.backbones)
    )
    return replace(plan, backbones=tuple(backbones))


def _without_turns(plan: Plan) -> Plan:
    return replace(plan, backbones=tuple(replace(each, device=0) for each in plan.backbones))


_TABLE = (
    Row(
        "reference-shape",
        "a query's LLM calls one after the other, instructions before the memories, no scheduler, "
        "no memory of recent texts",
        scheduler=None,
        memories_first=False,
        in_series=True,
    ),
    Row(
        "all-at-once",
        "every call straight to Triton, memories first, no memory of recent texts",
        scheduler=None,
    ),
    Row(
        "all-at-once-instructions-first",
        "every call straight to Triton, instructions first",
        scheduler=None,
        memories_first=False,
    ),
    Row(OURS, "as the service runs: behind the C++ tier scheduler"),
    Row("ours-no-groups", "`ours` without prefix groups: nobody waits for a leader", groups=False),
    Row(
        "ours-no-turns",
        "`ours` without device turns: backbones of one processor work side by side",
        turns=False,
    ),
    Row(
        "ours-instructions-first", "`ours`, instructions before the memories", memories_first=False
    ),
    Row(
        "ours-no-memory",
        "`ours` without the memory of recent texts' embeddings and annotations, which is where "
        "findings that do not depend on the query are kept",
        remembered=0,
    ),
    Row(
        "ours-no-encoder-batching",
        "`ours`, one text in each encoder call",
        encoder_batches=False,
    ),
    Row(
        "ours-reference-scheduler",
        "`ours` with the Python scheduler in place of the C++ one",
        scheduler=PYTHON,
    ),
)

ROWS: Mapping[str, Row] = {row.name: row for row in _TABLE}
ABOUT: Mapping[str, str] = {**{row.name: row.about for row in _TABLE}, CEILING: CEILING_ABOUT}
"""Every row by name, in the order in which they are shown; the ceiling comes last."""
