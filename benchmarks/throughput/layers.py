"""Models whose calls to backbones are changed on their way: reordered, queued, left out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol
from weakref import WeakValueDictionary

from budgetmem.backbone import (
    Backbone,
    Caller,
    Completion,
    Encoder,
    GenerationRequest,
    Models,
    Tagger,
    TokenCounter,
)
from budgetmem.config import Profile

PLACE = "{prompt}"
"""Where a chat template has the prompt."""


class Generate(Protocol):
    """`Backbone.generate`, without the backbone."""

    def __call__(
        self, request: GenerationRequest, on_first_token: Callable[[], None] | None = None
    ) -> Awaitable[Completion]: ...


Layer = Callable[[str, Caller, Generate], Generate]
"""From a backbone's profile key, the caller and the call to the call that is made instead."""


@dataclass(frozen=True)
class Layered:
    """`budgetmem.backbone.Models` with a layer around every backbone."""

    inner: Models
    layer: Layer
    caller: Caller = field(default_factory=Caller)

    def bound(self, caller: Caller) -> Layered:
        """The same layer, knowing its caller."""
        return replace(self, inner=self.inner.bound(caller), caller=caller)

    @property
    def backbones(self) -> Mapping[str, Backbone]:
        return {
            key: LayeredBackbone(each, self.layer(key, self.caller, each.generate))
            for key, each in self.inner.backbones.items()
        }

    @property
    def encoder(self) -> Encoder:
        return self.inner.encoder

    @property
    def tagger(self) -> Tagger:
        return self.inner.tagger


@dataclass(frozen=True)
class LayeredBackbone:
    """A backbone of which `call` is made in place of `generate`."""

    inner: Backbone
    call: Generate

    @property
    def name(self) -> str:
        return self.inner.name

    @property
    def tokens(self) -> TokenCounter:
        return self.inner.tokens

    async def generate(
        self, request: GenerationRequest, on_first_token: Callable[[], None] | None = None
    ) -> Completion:
        return await self.call(request, on_first_token)


def instructions_first(profile: Profile) -> Layer:
    """Moves the memories behind the instruction; the chat template's ends stay where they are.

    What such prompts share is the template's head and the instruction.
    """
    ends = {key: each.template.partition(PLACE) for key, each in profile.backbones.items()}

    def change(key: str, request: GenerationRequest) -> GenerationRequest:
        head, _, tail = ends[key]
        memories = request.prompt[len(head) : request.shared]
        instruction = request.prompt[request.shared : len(request.prompt) - len(tail)]
        first = f"{head}{instruction}\n"
        prompt = f"{first}{memories.removesuffix(chr(10))}{tail}"
        return replace(request, prompt=prompt, shared=len(first))

    return _changed(change)


def without_groups() -> Layer:
    """Keeps to itself that prompts begin alike."""
    return _changed(lambda _, request: replace(request, shared=0))


def in_series() -> Layer:
    """Of one request, one call at a time; requests do not wait for each other.

    A request is known by its tenant and its time of birth.
    """
    locks: WeakValueDictionary[tuple[str, float | None], asyncio.Lock] = WeakValueDictionary()

    def layer(key: str, caller: Caller, generate: Generate) -> Generate:
        async def waiting(
            request: GenerationRequest, on_first_token: Callable[[], None] | None = None
        ) -> Completion:
            lock = locks.setdefault((caller.tenant, caller.born), asyncio.Lock())
            async with lock:
                return await generate(request, on_first_token)

        return waiting

    return layer


def unanswered(stages: Collection[str]) -> Layer:
    """Gives an empty reply to the calls of some stages, without a model.

    The pipeline then does what it does for any reply that cannot be used: rules answer.
    """

    def layer(key: str, caller: Caller, generate: Generate) -> Generate:
        async def empty(
            request: GenerationRequest, on_first_token: Callable[[], None] | None = None
        ) -> Completion:
            return Completion(text="", input_tokens=0, output_tokens=0, finish_reason="stop")

        return empty if caller.stage in stages else generate

    return layer


def _changed(change: Callable[[str, GenerationRequest], GenerationRequest]) -> Layer:
    def layer(key: str, caller: Caller, generate: Generate) -> Generate:
        async def changed(
            request: GenerationRequest, on_first_token: Callable[[], None] | None = None
        ) -> Completion:
            return await generate(change(key, request), on_first_token)

        return changed

    return layer
