"""Backbones, watched: a span in the terms of `gen_ai` for every call, and tokens by model."""

from __future__ import annotations

from collections.abc import Callable
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

OPERATION = "text_completion"
"""What `gen_ai` calls a prompt that comes already templated."""


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


def observed_models(models: Models, metrics: ModelMetrics, tracer: Tracer) -> ModelSet:
    """The same models with watched backbones; they are to be scheduled, which waits are not of."""
    backbones = {
        key: ObservedBackbone(each, key, metrics, tracer) for key, each in models.backbones.items()
    }
    return ModelSet(backbones, models.encoder, models.tagger)


@dataclass(frozen=True)
class ObservedBackbone:
    """A Backbone, known to metrics as `key`."""

    inner: Backbone
    key: str
    metrics: ModelMetrics
    tracer: Tracer

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
            f"{OPERATION} {self.name}",
            {
                "gen_ai.operation.name": OPERATION,
                "gen_ai.provider.name": "triton",
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
