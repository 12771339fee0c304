"""What reaches the models, counted right before it is sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.throughput.layers import Generate, LayeredBackbone
from budgetmem.backbone import (
    Annotation,
    Backbone,
    Caller,
    Completion,
    Encoder,
    GenerationRequest,
    Models,
    Tagger,
    TokenCounter,
    Vectors,
)


@dataclass
class Tally:
    """Counts of the calls that were answered; `requests` are those to backbones, by key."""

    llm_calls: int = 0
    prompt_tokens: int = 0
    output_tokens: int = 0
    encoder_calls: int = 0
    encoder_texts: int = 0
    tagger_calls: int = 0
    tagger_texts: int = 0
    requests: dict[str, list[GenerationRequest]] = field(default_factory=dict)

    def counters(self) -> dict[str, int]:
        """The counts by name."""
        return {name: value for name, value in vars(self).items() if isinstance(value, int)}


@dataclass(frozen=True)
class Counted:
    """`budgetmem.backbone.Models` that tell a tally what they do."""

    inner: Models
    tally: Tally

    def bound(self, caller: Caller) -> Counted:
        """Whoever calls, one tally."""
        return Counted(self.inner.bound(caller), self.tally)

    @property
    def backbones(self) -> Mapping[str, Backbone]:
        return {
            key: LayeredBackbone(each, _counted(key, each.generate, self.tally))
            for key, each in self.inner.backbones.items()
        }

    @property
    def encoder(self) -> Encoder:
        return _CountedEncoder(self.inner.encoder, self.tally)

    @property
    def tagger(self) -> Tagger:
        return _CountedTagger(self.inner.tagger, self.tally)


def _counted(key: str, generate: Generate, tally: Tally) -> Generate:
    async def counted(
        request: GenerationRequest, on_first_token: Callable[[], None] | None = None
    ) -> Completion:
        completion = await generate(request, on_first_token)
        tally.llm_calls += 1
        tally.prompt_tokens += completion.input_tokens
        tally.output_tokens += completion.output_tokens
        tally.requests.setdefault(key, []).append(request)
        return completion

    return counted


@dataclass(frozen=True)
class _CountedEncoder:
    inner: Encoder
    tally: Tally

    @property
    def name(self) -> str:
        return self.inner.name

    @property
    def dimension(self) -> int:
        return self.inner.dimension

    @property
    def tokens(self) -> TokenCounter:
        return self.inner.tokens

    async def embed(self, texts: Sequence[str]) -> Vectors:
        vectors = await self.inner.embed(texts)
        self.tally.encoder_calls += 1
        self.tally.encoder_texts += len(texts)
        return vectors

    def remembered(self, texts: Sequence[str]) -> int:
        return self.inner.remembered(texts)


@dataclass(frozen=True)
class _CountedTagger:
    inner: Tagger
    tally: Tally

    @property
    def name(self) -> str:
        return self.inner.name

    async def annotate(self, texts: Sequence[str]) -> tuple[Annotation, ...]:
        annotations = await self.inner.annotate(texts)
        self.tally.tagger_calls += 1
        self.tally.tagger_texts += len(texts)
        return annotations

    def remembered(self, texts: Sequence[str]) -> int:
        return self.inner.remembered(texts)
