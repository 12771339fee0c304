"""Measures what is missing: which cell comes when, and how each is made."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context

from benchmarks.load.generator import Ask, replay
from benchmarks.load.measures import OK, Sample
from benchmarks.throughput import loops
from benchmarks.throughput.ceiling import Attempt, measure_openvino
from benchmarks.throughput.results import Cell, Journal
from benchmarks.throughput.rows import CEILING, OURS, ROWS
from benchmarks.throughput.service import TENANT, Service, new_salt
from budgetmem.assets import asset_dir
from budgetmem.config import BackboneProfile, Profile
from budgetmem.errors import BackboneError, ConfigError
from training.datasets.base import Question

WARM_UP = -1
"""The repeat that is not kept."""


@dataclass(frozen=True)
class Plan:
    """What is measured. `rate` is queries/s of the open loop; None: the closed loop."""

    rows: tuple[str, ...]
    repeats: int
    queries: int
    warm_up: int
    concurrency: int
    seed: int
    rate: float | None = None

    def order(self, repeat: int) -> list[str]:
        """The rows of a repeat, shuffled; the ceiling after `ours`, whose prompts it needs."""
        rows = list(self.rows)
        random.Random(f"{self.seed}/{repeat}/order").shuffle(rows)
        if CEILING in rows and OURS in rows:
            first, second = sorted((rows.index(OURS), rows.index(CEILING)))
            rows[first], rows[second] = OURS, CEILING
        return rows

    def missing(self, cells: Sequence[Cell]) -> list[tuple[int, int, str]]:
        """Repeat, place and row of what is not among the cells."""
        done = {(cell.repeat, cell.row) for cell in cells}
        return [
            (repeat, place, row)
            for repeat in range(self.repeats)
            for place, row in enumerate(self.order(repeat))
            if (repeat, row) not in done
        ]


@dataclass(frozen=True)
class Bench:
    """Everything that makes cells. `tell` gets a line when something begins, `tick` each query."""

    plan: Plan
    service: Service
    questions: Sequence[Question]
    journal: Journal
    tell: Callable[[str], None]
    tick: Callable[[], None]

    async def run(self) -> None:
        """Warms up, then makes the missing cells and keeps each as it is done.

        Raises BackboneError for a cell without any answer, which is not kept.
        """
        missing = self.plan.missing(self.journal.cells())
        if missing and self.plan.warm_up:
            self.tell("warm-up")
            first = next((row for *_, row in missing if row in ROWS), OURS)
            await self._row(first, WARM_UP, 0, self.plan.warm_up)
        for repeat, place, row in missing:
            self.tell(f"repeat {repeat + 1}/{self.plan.repeats}: {row}")
            if row == CEILING:
                cell = await self._ceiling(repeat, place)
            else:
                cell = await self._row(row, repeat, place, self.plan.queries)
            if not cell.answered:
                raise BackboneError(f"{row}: nothing was answered: {dict(cell.statuses)}")
            self.journal.keep(cell)

    async def _row(self, row: str, repeat: int, place: int, count: int) -> Cell:
        queries = self.service.workload.queries(self.questions, count, self.plan.seed, repeat)
        salt = new_salt()
        async with self.service.running(ROWS[row], salt, queries) as run:

            async def ask(tenant: str, number: int) -> str:
                status = await run.ask(tenant, number)
                self.tick()
                return status

            samples = await self._loop(ask, count, repeat)
        if row == OURS and repeat != WARM_UP:
            self.journal.keep_prompts(salt, run.tally.requests)
        return Cell(
            row=row,
            repeat=repeat,
            place=place,
            salt=salt,
            elapsed_s=max(sample.finished for sample in samples),
            statuses=dict(Counter(sample.status for sample in samples)),
            latencies_ms=[sample.latency * 1e3 for sample in samples if sample.status == OK],
            work=run.tally.counters(),
            fallbacks=dict(run.fallbacks),
        )

    async def _loop(self, ask: Ask, count: int, repeat: int) -> list[Sample]:
        if self.plan.rate is None or repeat == WARM_UP:
            return await loops.closed(count, self.plan.concurrency, ask, time.monotonic, TENANT)
        due = loops.arrivals(count, self.plan.rate, (self.plan.seed, repeat), TENANT)
        return await replay(due, ask, time.monotonic, asyncio.sleep)

    async def _ceiling(self, repeat: int, place: int) -> Cell:
        ours = next(c for c in self.journal.cells() if (c.row, c.repeat) == (OURS, repeat))
        prompts = self.journal.prompts(ours.salt)
        attempts: dict[str, list[Attempt]] = {}
        for key, requests in prompts.items():
            backbone = self.service.profile.on_triton[key]
            work = partial(
                measure_openvino,
                asset_dir(backbone.asset or ""),
                engine_options(backbone),
                requests,
                ours.salt,
                backbone.credits,
            )
            # A process of its own gives back all of the engine's memory and threads.
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as child:
                attempts[key] = await asyncio.get_running_loop().run_in_executor(child, work)
        best = {key: tried[0] for key, tried in attempts.items()}
        return Cell(
            row=CEILING,
            repeat=repeat,
            place=place,
            salt=ours.salt,
            elapsed_s=sum(each.seconds for each in best.values()),
            statuses={OK: ours.answered},
            work={
                "llm_calls": sum(map(len, prompts.values())),
                "prompt_tokens": ours.work["prompt_tokens"],
                "output_tokens": sum(each.output_tokens for each in best.values()),
            },
            best={
                key: {"order": tried[0].order, "tried": [asdict(each) for each in tried]}
                for key, tried in attempts.items()
            },
        )


def engine_options(backbone: BackboneProfile) -> dict[str, str]:
    """The options that Triton's instance of the backbone has, as it is given them."""
    given = {"max_model_len": backbone.context, **backbone.engine_options}
    return {name: str(value) for name, value in given.items()}


def check_ceiling(profile: Profile) -> None:
    """Raises ConfigError for a backbone on another engine than the one that can be run alone."""
    for key, backbone in profile.backbones.items():
        if backbone.engine != "openvino":
            raise ConfigError(
                f"{CEILING}: backbone {key!r} runs on {backbone.engine}, not openvino"
            )
