"""Canaries: a small call to every model that has not been heard of for a while.

Triton's health says nothing of a model whose process died (2.51): it stays ready. What a canary
finds is remembered by the model's breaker.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial

from budgetmem.backbone import GenerationRequest, Models
from budgetmem.breakers import Breakers, BreakerState
from budgetmem.config import ENCODER, TAGGER
from budgetmem.errors import BackboneError, BackboneUnavailable

logger = logging.getLogger(__name__)

TEXT = "."
PROBE = GenerationRequest(prompt=TEXT, max_tokens=1)

Probe = Callable[[], Awaitable[object]]


@dataclass(frozen=True)
class Canaries:
    """Asks models that had no success for `idle_s` seconds, and those whose breaker is not closed.

    `models` must be the guarded ones, which tell the breakers what became of a call. Those that are
    `billed` are not asked for being idle: a call would cost money, and one that fails says so.
    """

    models: Models
    breakers: Breakers
    idle_s: float = 30.0
    every_s: float = 5.0
    billed: frozenset[str] = frozenset()
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def send_all(self) -> None:
        """Asks every model once. Raises what the first one that fails raises."""
        for probe in self._probes().values():
            await probe()

    async def send_due(self) -> None:
        """Asks those for which it is time. What fails is logged."""
        for model, probe in self._probes().items():
            if not self._due(model):
                continue
            try:
                await probe()
            except BackboneUnavailable as exc:
                logger.warning("canary: %s", exc)
            except BackboneError as exc:
                # Of others it may be the caller's doing, and is not counted; not of a canary.
                logger.warning("canary: %s", exc)
                self.breakers.by_model[model].fail()

    async def run(self) -> None:
        """Goes on until it is cancelled."""
        while True:
            await self.sleep(self.every_s)
            await self.send_due()

    def _due(self, model: str) -> bool:
        breaker = self.breakers.by_model[model]
        if breaker.state is BreakerState.CLOSED:
            return model not in self.billed and breaker.idle_s >= self.idle_s
        return not breaker.refuses

    def _probes(self) -> Mapping[str, Probe]:
        return {
            **{key: partial(each.generate, PROBE) for key, each in self.models.backbones.items()},
            ENCODER: partial(self.models.encoder.embed, [TEXT]),
            TAGGER: partial(self.models.tagger.annotate, [TEXT]),
        }
