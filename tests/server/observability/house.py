"""A whole server over scripted models: real doors, scheduler, pipeline and store, all watched."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from budgetmem.backbone import Backbone, HashEncoder, ModelSet, ScriptedBackbone, ScriptedTagger
from budgetmem.client import AsyncClient
from budgetmem.config import load_profile
from budgetmem.scheduling.models import ScheduledModels
from budgetmem.types import Turn
from server.assembly import build_engine, open_scheduler
from server.doors import Doors
from server.observability.observing import Observability
from tests.fakes import perfect

PROFILE = load_profile("tiny")
TENANT, HISTORY = "acme-corp", "trip-to-lisbon"
TURNS = [
    Turn("t1", "Ana", "I adopted a cat yesterday!"),
    Turn("t2", "Ben", "What a lovely cat, congratulations Ana."),
    *(Turn(f"t{n}", "Ben", f"On 7 May 2023 I met quokka number {n}.") for n in range(3, 12)),
]
"""What the scripted models quote is in them."""

QUESTION = "What did Ana adopt, a quokka?"


@dataclass(frozen=True)
class House:
    address: str
    seen: Observability
    exporter: InMemorySpanExporter

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        """Those that have ended."""
        return self.exporter.get_finished_spans()

    def client(self) -> AsyncClient:
        return AsyncClient(self.address, tenant=TENANT, timeout_s=60)


@asynccontextmanager
async def house(
    folder: Path,
    backbones: Mapping[str, Backbone] | None = None,
    encoder: HashEncoder | None = None,
) -> AsyncIterator[House]:
    """The server, with HISTORY ingested and no spans so far."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    seen = Observability(tracer=provider.get_tracer("test"))
    models = ModelSet(
        backbones or {"all": ScriptedBackbone(perfect, name="backbone_low")},
        encoder or HashEncoder(name=PROFILE.encoder.asset),
        ScriptedTagger(name=PROFILE.tagger.asset),
    )
    async with open_scheduler(PROFILE, seen.tracer) as scheduler:
        seen.watch_scheduler(scheduler.stats)
        watched = ScheduledModels(seen.models(models), scheduler)
        engine = build_engine(
            PROFILE, watched, folder, watched.forget, scheduler=scheduler, tracer=seen.tracer
        )
        doors = Doors(interceptors=[seen.interceptor])
        port = await doors.open("127.0.0.1", 0)
        await doors.serve(seen.engine(engine))
        built = House(f"127.0.0.1:{port}", seen, exporter)
        async with built.client() as client:
            await client.ingest(HISTORY, TURNS)
        exporter.clear()
        yield built
        await doors.close(0)
