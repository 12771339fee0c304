"""An endpoint that answers from a script, and a profile that names it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from budgetmem.backbone import GenerationRequest, TokenCounter, WordCounter
from budgetmem.config import EndpointProfile
from budgetmem.endpoints import EndpointBackbone
from budgetmem.endpoints.connecting import client_of

KEY = "sk-0123456789abcdef"
REQUEST = GenerationRequest("Who moved to Lisbon last year, and why?", max_tokens=8)
TABLE: dict[str, Any] = {
    "kind": "openai",
    "base_url": "http://127.0.0.1:8000/v1",
    "model": "tiny-chat",
    "context": 4096,
    "price": {"input": 1.0, "output": 2.0, "source": "a test"},
    "speed": {"prefill": 100, "decode": 10},
}
USAGE = {"prompt_tokens": 20, "completion_tokens": 3}


def endpoint(**changes: Any) -> EndpointProfile:
    return EndpointProfile.model_validate({**TABLE, **changes})


def said(content: str, **more: Any) -> dict[str, Any]:
    """A chunk with a piece of text."""
    return {"choices": [{"index": 0, "delta": {"content": content}, **more}]}


def ended(reason: str | None = "stop") -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}


def told(**usage: Any) -> dict[str, Any]:
    return {"choices": [], "usage": {**USAGE, **usage}}


def stream(*chunks: dict[str, Any] | str) -> httpx.Response:
    """A reply whose events are these chunks."""
    events = [each if isinstance(each, str) else json.dumps(each) for each in chunks]
    text = "".join(f"data: {event}\n\n" for event in [*events, "[DONE]"])
    return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=text.encode())


def perfect() -> httpx.Response:
    return stream(said("An"), said("a."), ended(), told())


@dataclass
class Script:
    """Answers every request with `answer`, and keeps what it was asked."""

    answer: Callable[[], httpx.Response] = perfect
    requests: list[httpx.Request] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return self.answer()

    @property
    def body(self) -> Any:
        return json.loads(self.requests[-1].content)


def backbone(
    script: Callable[[httpx.Request], Any],
    tokens: TokenCounter | None = None,
    key: str = "",
    **changes: Any,
) -> EndpointBackbone:
    profile = endpoint(**changes)
    client = client_of(profile, key, httpx.MockTransport(script))
    return EndpointBackbone(profile, client, tokens or WordCounter(), key)
