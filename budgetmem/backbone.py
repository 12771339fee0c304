"""What the pipeline asks of models: backbones (LLMs), the encoder, the tagger, and token counts.

The real ones live in `budgetmem.triton` and `budgetmem.endpoints`. The fakes here are public, so
that users can test their own code against BudgetMem without a model server; they are named fakes
because they are.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from budgetmem.errors import BackboneError

Vectors = NDArray[np.float32]


class TokenCounter(Protocol):
    """Counts the tokens of a text as one model would. Counts never fall short of the model's."""

    def count(self, text: str) -> int: ...


@dataclass(frozen=True)
class GenerationRequest:
    """One prompt, ready to send: in its chat template, unless it is the server that has that.

    `schema` is a JSON schema that the reply must satisfy; engines that can constrain decoding
    do so, the others are merely asked by the prompt. The first `shared` characters of the prompt
    are those that other requests have too. `prompt_tokens` are the prompt's, by the backbone's own
    counter; 0 if nobody has counted them.
    """

    prompt: str
    max_tokens: int
    schema: Mapping[str, Any] | None = None
    temperature: float = 0.0
    stop: tuple[str, ...] = ()
    shared: int = 0
    prompt_tokens: int = 0


@dataclass(frozen=True)
class Completion:
    """An LLM's reply. `finish_reason` is `stop`, `length` or, where an endpoint has one,
    `content_filter`; logprob is the sum over the output.

    `cached_tokens` are those of the input that the server says it had read before; 0 if it does
    not say.
    """

    text: str
    input_tokens: int
    output_tokens: int
    finish_reason: str
    cumulative_logprob: float | None = None
    first_token_ms: float = 0.0
    milliseconds: float = 0.0
    cached_tokens: int = 0

    @property
    def mean_logprob(self) -> float | None:
        if self.cumulative_logprob is None or self.output_tokens == 0:
            return None
        return self.cumulative_logprob / self.output_tokens


class Backbone(Protocol):
    """An LLM. `generate` raises BackboneError, or BackboneUnavailable where a retry may help.

    `on_first_token` is called once, when the engine has read the prompt (its prefill is done):
    prompts that share a prefix are best sent after it. Cancelling the task cancels the request.
    """

    @property
    def name(self) -> str: ...

    @property
    def tokens(self) -> TokenCounter: ...

    async def generate(
        self, request: GenerationRequest, on_first_token: Callable[[], None] | None = None
    ) -> Completion: ...


class Encoder(Protocol):
    """A sentence encoder: texts to float32 [len(texts), dimension], rows L2-normalised."""

    @property
    def name(self) -> str: ...

    @property
    def dimension(self) -> int: ...

    @property
    def tokens(self) -> TokenCounter: ...

    async def embed(self, texts: Sequence[str]) -> Vectors: ...

    def remembered(self, texts: Sequence[str]) -> int:
        """How many of the texts a memory of recent results answers, without the model."""
        ...


@dataclass(frozen=True)
class Entity:
    """A named entity; `label` is of the OntoNotes set (PERSON, GPE, DATE, ...)."""

    text: str
    label: str


@dataclass(frozen=True)
class Relation:
    """Subject, verb phrase and object of a clause, as the parser found them."""

    subject: str
    verb: str
    object: str


@dataclass(frozen=True)
class Annotation:
    """What the tagger, parser and entity recogniser say of one text."""

    entities: tuple[Entity, ...] = ()
    relations: tuple[Relation, ...] = ()
    noun_phrases: tuple[str, ...] = ()
    tokens: int = 0


class Tagger(Protocol):
    """A tagger, parser and entity recogniser: one Annotation a text."""

    @property
    def name(self) -> str: ...

    async def annotate(self, texts: Sequence[str]) -> tuple[Annotation, ...]: ...

    def remembered(self, texts: Sequence[str]) -> int:
        """How many of the texts a memory of recent results answers, without the model."""
        ...


class WordCounter:
    """A crude TokenCounter for the fakes: whitespace-separated words."""

    def count(self, text: str) -> int:
        return len(text.split())


@dataclass
class ScriptedBackbone:
    """A fake backbone that answers from a script: a function of the prompt, or a mapping.

    A mapping's first key that occurs in the prompt picks the reply; no match is a BackboneError.
    Every request is kept in `requests`.
    """

    script: Callable[[str], str] | Mapping[str, str]
    name: str = "scripted"
    tokens: TokenCounter = field(default_factory=WordCounter)
    requests: list[GenerationRequest] = field(default_factory=list)

    async def generate(
        self, request: GenerationRequest, on_first_token: Callable[[], None] | None = None
    ) -> Completion:
        self.requests.append(request)
        if on_first_token is not None:
            on_first_token()
        reply = self._reply(request.prompt)
        return Completion(
            text=reply,
            input_tokens=self.tokens.count(request.prompt),
            output_tokens=self.tokens.count(reply),
            finish_reason="stop",
        )

    def _reply(self, prompt: str) -> str:
        if callable(self.script):
            return self.script(prompt)
        for key, reply in self.script.items():
            if key in prompt:
                return reply
        raise BackboneError(f"{self.name}: no scripted reply matches the prompt")


@dataclass
class HashEncoder:
    """A fake encoder: a bag of hashed words, so that texts that share words are near."""

    dimension: int = 64
    name: str = "hash"
    tokens: TokenCounter = field(default_factory=WordCounter)

    async def embed(self, texts: Sequence[str]) -> Vectors:
        rows = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in text.lower().split():
                digest = hashlib.blake2b(word.strip(".,!?\"'").encode(), digest_size=4).digest()
                row[int.from_bytes(digest, "little") % self.dimension] += 1.0
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
        return np.divide(rows, norms, out=rows, where=norms > 0)

    def remembered(self, texts: Sequence[str]) -> int:
        """It has no memory."""
        return 0


@dataclass
class ScriptedTagger:
    """A fake tagger: annotations by text, an empty annotation for the rest."""

    script: Mapping[str, Annotation] = field(default_factory=dict)
    name: str = "scripted-tagger"

    async def annotate(self, texts: Sequence[str]) -> tuple[Annotation, ...]:
        return tuple(self.script.get(text, Annotation()) for text in texts)

    def remembered(self, texts: Sequence[str]) -> int:
        """It has no memory."""
        return 0


@dataclass(frozen=True)
class Caller:
    """On whose account models work, and how urgently.

    `stage` is one of `budgetmem.stages`. `born` is when the request began and `deadline` when its
    time is over, in seconds of time.monotonic(); `born` None is now.
    """

    tenant: str = ""
    stage: str = ""
    born: float | None = None
    deadline: float = math.inf


class Models(Protocol):
    """Every model of a profile: LLM backbones by their profile key, the encoder, the tagger."""

    def bound(self, caller: Caller) -> Models:
        """The same models, working on the caller's account."""
        ...

    @property
    def backbones(self) -> Mapping[str, Backbone]: ...

    @property
    def encoder(self) -> Encoder: ...

    @property
    def tagger(self) -> Tagger: ...


@dataclass(frozen=True)
class ModelSet:
    """Models put together by hand, for example of the fakes above."""

    backbones: Mapping[str, Backbone]
    encoder: Encoder
    tagger: Tagger

    def bound(self, caller: Caller) -> ModelSet:
        """Themselves: nothing is scheduled."""
        return self
