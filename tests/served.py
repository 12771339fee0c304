"""A server of real doors, pipeline and store in a thread of its own; its models are fakes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from budgetmem.backbone import HashEncoder, ModelSet, ScriptedBackbone, ScriptedTagger
from budgetmem.config import load_profile
from server.assembly import build_engine
from server.doors import Doors
from tests.fakes import perfect

WAIT_S = 60


@contextmanager
def served(data_dir: Path) -> Iterator[str]:
    """The address of the server, whose histories are in `data_dir`."""
    profile = load_profile("tiny")
    models = ModelSet(
        {"all": ScriptedBackbone(perfect, name="all")},
        HashEncoder(profile.encoder.dimension, profile.encoder.asset),
        ScriptedTagger(name=profile.tagger.asset),
    )
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def start() -> tuple[Doors, int]:
        doors = Doors()
        port = await doors.open("127.0.0.1", 0)
        await doors.serve(build_engine(profile, models, data_dir))
        return doors, port

    doors, port = asyncio.run_coroutine_threadsafe(start(), loop).result(WAIT_S)
    try:
        yield f"127.0.0.1:{port}"
    finally:
        asyncio.run_coroutine_threadsafe(doors.close(0), loop).result(WAIT_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(WAIT_S)
        loop.close()
