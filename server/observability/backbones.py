"""Backbones, watched: a span in the terms of `gen_ai` for every call, and tokens by model."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from opentelemetry.trace import Span, SpanKind, Tracer
from prometheus_client import CollectorRegistry

from budgetmem.backbone import (
    Backbone,
    Completion,
    GenerationRequest,
    Models,
    ModelSet,
    TokenCounter,
)
from budgetmem.tracing import traced
from server.observability import catalogue


@dataclass(frozen=True)
class Kind:
    """What `gen_ai` calls a call: by what is asked for, and in whose terms."""

    operation: str
    provider: str


TRITON = Kind("text_completion", "triton")
"""A prompt that comes already templated."""

ENDPOINT = Kind("chat", "openai")


class ModelMetrics:
    """What is counted of finished replies."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._tokens = catalogue.MODEL_TOKENS.counter(registry)
        self._first_token = catalogue.TIME_TO_FIRST_TOKEN.histogram(registry, catalogue.SECONDS)

    def count(self, model: str, completion: Completion) -> None:
        """A reply of the backbone `model`."""
        self._tokens.labels(model, "input").inc(completion.input_tokens)
        self._tokens.labels(model, "output").inc(completion.output_tokens)
        self._first_token.labels(model).observe(completion.first_token_ms / 1e3)


def observed_models(
    models: Models, metrics: ModelMetrics, tracer: Tracer, endpoints: Collection[str] = ()
) -> ModelSet:
    """The same models with watched backbones; they are to be scheduled, which waits are not of."""
    backbones = {
        key: ObservedBackbone(each, key, metrics, tracer, ENDPOINT if key in endpoints else TRITON)
        for key, each in models.backbones.items()
    }
    return ModelSet(backbones, models.encoder, models.tagger)


@dataclass(frozen=True)
class ObservedBackbone:
    """A Backbone, known to metrics as `key`."""

    inner: Backbone
    key: str
    metrics: ModelMetrics
    tracer: Tracer
    kind: Kind = TRITON

    @property
    def name(self) -> str:
        return self.inner.name

    @property
    def tokens(self) -> TokenCounter:
        return self.inner.tokens

    async def generate(
        self, request: GenerationRequest, on_first_token: Callable[[], None] | None = None
    ) -> Completion:
        with traced(
            self.tracer,
            f"{self.kind.operation} {self.name}",
            {
                "gen_ai.operation.name": self.kind.operation,
                "gen_ai.provider.name": self.kind.provider,
                "gen_ai.request.model": self.name,
                "gen_ai.request.max_tokens": request.max_tokens,
                "gen_ai.request.temperature": request.temperature,
            },
            kind=SpanKind.CLIENT,
        ) as span:
            completion = await self.inner.generate(request, on_first_token)
            _describe(span, completion)
        self.metrics.count(self.key, completion)
        return completion


def _describe(span: Span, completion: Completion) -> None:
    span.set_attributes(
        {
            "gen_ai.usage.input_tokens": completion.input_tokens,
            "gen_ai.usage.output_tokens": completion.output_tokens,
            "gen_ai.response.finish_reasons": [completion.finish_reason],
            "gen_ai.response.time_to_first_chunk": completion.first_token_ms / 1e3,
        }
    )
    if completion.cached_tokens:
        span.set_attribute("gen_ai.usage.cache_read.input_tokens", completion.cached_tokens)
