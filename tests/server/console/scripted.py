"""A whole server with the console: real doors, scheduler, pipeline, store and router over scripted
models, for tests in a browser and for the pictures in the documentation."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from budgetmem.backbone import HashEncoder, ModelSet, ScriptedBackbone, ScriptedTagger
from budgetmem.config import load_profile
from budgetmem.guarded import breakers_of
from budgetmem.scheduling.models import ScheduledModels
from server.assembly import build_engine, open_scheduler
from server.http.pages import console_pages
from server.observability.observing import Observability
from server.observability.state import StateCollector
from server.routers import serving_routers
from tests.server.http.house import House, open_house
from tests.test_router_frontier import at
from tests.toy_router import ENCODER, Toy, write_router

PROFILE = load_profile("small")
QUESTION = "How much did Idris pay for the dinghy and her engine together?"
REASONED = {"reasoning": "r"}
BOUGHT = {"subject": "Idris", "relation": "paid for the dinghy Patience", "object": "£275"}
REPLIES = {
    "may hold the answer": REASONED | {"keep": [1, 2]},
    "extract the relations": REASONED | {"relations": [BOUGHT | {"memory": 1}]},
    "extract the events": REASONED
    | {"events": [{"event": "Idris bought a boat", "date": "13 January 2024", "memory": 1}]},
    "collect the facts": REASONED
    | {"facts": [{"topic": "Patience", "fact": "Her engine was £340", "memory": 2}]},
    "Copy word for word": REASONED | {"quotes": ["£275 with the trailer."]},
}
"""What an LLM would say of the example, by words of the prompt."""

MEASURED = [
    at(0.0, 0.58, 3.2e-5),
    at(0.1, 0.57, 2.1e-5),
    at(0.3, 0.51, 1.3e-5),
    at(0.9, 0.44, 4.7e-6),
]
"""Made up, as everything here is."""


@dataclass
class Pace:
    """How long the models take: not at all, or until `go` is set."""

    held: bool = False
    go: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass
class Paced(ScriptedBackbone):
    """A scripted backbone that can be held up."""

    pace: Pace = field(default_factory=Pace)

    async def generate(self, request, on_first_token=None):
        if self.pace.held:
            await self.pace.go.wait()
        return await super().generate(request, on_first_token)


@dataclass(frozen=True)
class Console:
    """The server, and the pace of its models."""

    house: House
    pace: Pace

    @property
    def url(self) -> str:
        return self.house.url

    def release(self) -> None:
        """Models that are held up go on."""
        self.house.grpc.loop.call_soon_threadsafe(self.pace.go.set)


def reply(prompt: str) -> str:
    """What the models of the example say to a prompt of the pipeline."""
    said = next((told for key, told in REPLIES.items() if key in prompt), "£615")
    return said if isinstance(said, str) else json.dumps(said)


@contextmanager
def open_console(
    folder: Path,
    security: object = None,
    *,
    trained: bool = True,
    script: Callable[[str], str] = reply,
) -> Iterator[Console]:
    """The console of a server whose histories are in `folder`, empty at first."""
    seen, pace, stack = Observability(), Pace(), AsyncExitStack()
    breakers = breakers_of(PROFILE.backbones)
    routers = [_router(folder / "router")] if trained else []
    with open_house(pages=console_pages(), security=security, serve=False, seen=seen) as house:

        async def start() -> None:
            scheduler = await stack.enter_async_context(open_scheduler(PROFILE))
            seen.watch_scheduler(scheduler.stats)
            served = await stack.enter_async_context(serving_routers(PROFILE, routers))
            seen.watch_state(
                StateCollector(PROFILE.name, lambda: True, served.versions, breakers.states)
            )
            models = ScheduledModels(seen.models(_models(script, pace)), scheduler)
            engine = build_engine(
                PROFILE, models, folder, models.forget, scheduler=scheduler, routers=served
            )
            named = replace(engine.described, about="scripted models")
            await house.grpc.doors.serve(seen.engine(replace(engine, described=named)))

        house.grpc.call(start())
        try:
            yield Console(house, pace)
        finally:
            house.grpc.call(house.grpc.doors.close(0))
            house.grpc.call(stack.aclose())


def _models(script: Callable[[str], str], pace: Pace) -> ModelSet:
    return ModelSet(
        {key: Paced(script, name=key, pace=pace) for key in PROFILE.backbones},
        HashEncoder(PROFILE.encoder.dimension, PROFILE.encoder.asset),
        ScriptedTagger(name=PROFILE.tagger.asset),
    )


def _router(folder: Path) -> Path:
    """A trained router whose modules differ, and become cheaper with the cost weight."""
    dimension = PROFILE.encoder.dimension
    toy = replace(
        Toy.make(dimension=dimension),
        weights=np.zeros((2 * dimension + 3, 3), dtype=np.float32),
        bias=np.array(
            [[1, 2, 2.5], [0, 1, 3], [0.5, 2, 1], [0, 2.5, 2], [1, 1, 2.5]], dtype=np.float32
        ),
        slope=np.array([[0, -3, -7]], dtype=np.float32),
    )
    return write_router(
        folder,
        toy,
        strategy="implementation",
        version="implementation-made-up",
        encoder=ENCODER | {"dimension": dimension},
        training={"dataset": "made-up"},
        metrics={"questions": 40, "by_cost_weight": MEASURED},
    )
