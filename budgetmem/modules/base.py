"""The contract of a module: what the router reads, local rungs, prompt values and parser."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from budgetmem.backbone import Annotation, Encoder, Tagger, Vectors
from budgetmem.types import Chunk, Finding, Workspace


def _anything(tokens: Mapping[str, int]) -> None:
    """No ceiling."""


@dataclass
class Tools:
    """The task models that local rungs may use, and a tally of what they read.

    `tokens` counts the input tokens by model name, so that a specialist rung is priced like an
    LLM rung: nothing is free because it is small. `cache_hits` are texts that a memory of recent
    results answered; they are priced all the same, so that a price does not depend on luck.
    `afford` is called before a model reads, with `tokens` as they may be afterwards; it raises
    BudgetTooSmall if they are too many, and nothing is read then.
    """

    encoder: Encoder
    tagger: Tagger
    tokens: dict[str, int] = field(default_factory=dict)
    cache_hits: int = 0
    afford: Callable[[Mapping[str, int]], None] = _anything

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """float32 [len(texts), encoder.dimension], L2-normalised rows."""
        after = self._with(self.encoder.name, sum(self.encoder.tokens.count(t) for t in texts))
        self.afford(after)
        self.cache_hits += self.encoder.remembered(texts)
        vectors = await self.encoder.embed(texts)
        self.tokens = after
        return vectors

    async def annotate(self, texts: Sequence[str]) -> tuple[Annotation, ...]:
        """One Annotation a text. None of its tokens is shorter than a character."""
        self.afford(self._with(self.tagger.name, sum(map(len, texts))))
        self.cache_hits += self.tagger.remembered(texts)
        annotations = await self.tagger.annotate(texts)
        self.tokens = self._with(self.tagger.name, sum(a.tokens for a in annotations))
        return annotations

    def _with(self, model: str, tokens: int) -> dict[str, int]:
        return {**self.tokens, model: self.tokens.get(model, 0) + tokens}


LocalRung = Callable[[Workspace, Tools], Awaitable[tuple[Finding, ...]]]


class Module(Protocol):
    """One step of the pipeline.

    `about` is the sentence that the router embeds. `schema` is the JSON schema of the LLM
    rungs' replies. `local` holds the rungs that need no LLM, by method name; `rules`
    must be among them, since it is the floor under every strategy.
    """

    @property
    def name(self) -> str: ...

    @property
    def about(self) -> str: ...

    @property
    def schema(self) -> Mapping[str, Any]: ...

    @property
    def local(self) -> Mapping[str, LocalRung]: ...

    def reads(self, work: Workspace) -> tuple[Chunk, ...]:
        """The chunks that the module's prompt shows, numbered from 1 in this order."""
        ...

    def render(self, work: Workspace) -> Mapping[str, str]:
        """Values for the placeholders of this module's prompt files, escaped."""
        ...

    def parse(self, reply: str, work: Workspace) -> tuple[Finding, ...]:
        """Findings from an LLM reply. Raises ReplyError if it is not of the asked form."""
        ...
