"""What is sent to an endpoint: the body of one chat completion."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from budgetmem.backbone import GenerationRequest
from budgetmem.config import EndpointProfile

Schema = Mapping[str, Any]


def _schema(schema: Schema) -> dict[str, Any]:
    form = {"name": "reply", "schema": schema, "strict": True}
    return {"type": "json_schema", "json_schema": form}


FORMS: Mapping[str, Callable[[Schema], dict[str, Any] | None]] = {
    "json_schema": _schema,
    "json_object": lambda schema: {"type": "json_object"},
    "prompt": lambda schema: None,
}
"""`response_format` for a reply of this schema, by the profile's `replies`."""


def body_of(profile: EndpointProfile, request: GenerationRequest) -> dict[str, Any]:
    """The request as JSON.

    The prompt is one user message, as it is in the templates of Triton's models: memories first,
    byte for byte the same for the modules of a query, so that a server may have them cached.
    """
    schema = request.schema
    fields: dict[str, Any] = {
        "model": profile.model,
        "messages": [{"role": "user", "content": request.prompt}],
        "stream": True,
        "stream_options": {"include_usage": True} if profile.usage == "asked" else None,
        profile.limit: request.max_tokens,
        "temperature": request.temperature if profile.temperature else None,
        "seed": profile.seed,
        "stop": list(request.stop) or None,
        "logprobs": profile.logprobs or None,
        "response_format": None if schema is None else FORMS[profile.replies](schema),
    }
    return {**profile.body, **{name: each for name, each in fields.items() if each is not None}}
