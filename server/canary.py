"""Canaries: a small call to every model that has not been heard of for a while.

Triton's health says nothing of a model whose process died, or answers no more (2.51): it stays
ready. What a canary finds is remembered by the model's breaker, which nobody else probes.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from budgetmem.backbone import GenerationRequest
from budgetmem.breakers import Breaker, Breakers, BreakerState
from budgetmem.config import ENCODER, TAGGER
from budgetmem.errors import BackboneError, BackboneUnavailable
from budgetmem.gather import gather_or_cancel
from budgetmem.guarded import GuardedModels
from budgetmem.timeouts import within

logger = logging.getLogger(__name__)

TEXT = "."
PROBE = GenerationRequest(prompt=TEXT, max_tokens=1)

PATIENCE_S = 60.0
"""How long a canary is waited for. On a slow CPU it may stand behind a prompt of thousands of
tokens, which takes tens of seconds."""

LOST = 3
"""After so many canaries in a row that came to nothing a model is given up. One may be the fault of
a machine that was busy with something else; and a restart costs the calls of all models."""

Probe = Callable[[], Awaitable[object]]


@dataclass(frozen=True)
class Canaries:
    """Asks models that had no success for `idle_s` seconds, and those whose breaker is not closed.

    One that answers nobody for `patience_s` seconds has failed; what is only busy answers others
    meanwhile. After `lost` canaries in a row that met silence, or a server without its model, with
    no answer to anybody for as long, `give_up` is told of the model.

    Models that are `billed` are of somebody else's servers, and never given up; nor are they asked
    for being idle: a call would cost money, and one that fails says so.
    """

    models: GuardedModels
    breakers: Breakers
    idle_s: float = 30.0
    every_s: float = 5.0
    patience_s: float = PATIENCE_S
    lost: int = LOST
    billed: frozenset[str] = frozenset()
    give_up: Callable[[str], None] = lambda model: None
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    _in_a_row: Counter[str] = field(default_factory=Counter, init=False)

    async def send_all(self) -> None:
        """Asks every model once, side by side. Raises what the first one that fails raises,
        BackboneUnavailable for one that is silent until it would be given up."""
        await gather_or_cancel([self._first(model) for model in self._probes()])

    async def send_due(self, model: str) -> None:
        """Asks a model if it is time. What fails is logged, and counted by its breaker."""
        if not self._due(model):
            return
        breaker = self.breakers.by_model[model]
        try:
            await within(self.patience_s, self._probes()[model]())
        except asyncio.TimeoutError:
            if breaker.silence_s >= self.patience_s:
                logger.warning("canary: %s answered nobody for %g s", model, breaker.silence_s)
                breaker.fail()
        except BackboneUnavailable as exc:
            logger.warning("canary: %s", exc)
        except BackboneError as exc:
            # Of others it may be the caller's doing, and is not counted; not of a canary.
            logger.warning("canary: %s", exc)
            breaker.fail()
        self._judge(model, breaker)

    async def run(self) -> None:
        """Goes on until it is cancelled. A model that is silent holds up no other's canary."""
        await gather_or_cancel([self._keep_asking(model) for model in self._probes()])

    async def _keep_asking(self, model: str) -> None:
        while True:
            await self.sleep(self.every_s)
            await self.send_due(model)

    async def _first(self, model: str) -> None:
        # The first call of a model may take longest: it makes itself ready, as do all the others.
        limit_s = self.patience_s * self.lost
        try:
            await within(limit_s, self._probes()[model]())
        except asyncio.TimeoutError as exc:
            raise BackboneUnavailable(
                f"{model} did not answer within {limit_s:g} s: look into the log of its server"
            ) from exc

    def _judge(self, model: str, breaker: Breaker) -> None:
        if breaker.silence_s < self.patience_s:
            self._in_a_row.pop(model, None)
            return
        self._in_a_row[model] += 1
        if self._in_a_row[model] >= self.lost and model not in self.billed:
            del self._in_a_row[model]
            self.give_up(model)

    def _due(self, model: str) -> bool:
        breaker = self.breakers.by_model[model]
        if breaker.state is BreakerState.CLOSED:
            return model not in self.billed and breaker.idle_s >= self.idle_s
        return breaker.state is BreakerState.HALF_OPEN

    def _probes(self) -> Mapping[str, Probe]:
        models = replace(self.models, probes=True)
        return {
            **{key: partial(each.generate, PROBE) for key, each in models.backbones.items()},
            ENCODER: partial(models.encoder.embed, [TEXT]),
            TAGGER: partial(models.tagger.annotate, [TEXT]),
        }
