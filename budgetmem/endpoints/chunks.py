"""The chunks that a streamed chat completion comes in, as far as they are of use here."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError

from budgetmem.errors import BackboneError

Count = Annotated[int, Field(ge=0, le=2**31 - 1)]
"""More than any model takes: nothing overflows that is worked out from it."""


class Delta(BaseModel):
    """What is new of the reply. Reasoning comes under two names, and is not part of its text."""

    content: str | None = None
    reasoning_content: Any = None
    reasoning: Any = None


class TokenLogprob(BaseModel):
    """Of one token."""

    logprob: float


class Logprobs(BaseModel):
    """Of the tokens of a delta."""

    content: list[TokenLogprob] | None = Field(None, fail_fast=True)


class Choice(BaseModel):
    """The one reply that is asked for."""

    delta: Delta | None = None
    finish_reason: str | None = None
    logprobs: Logprobs | None = None


class PromptDetails(BaseModel):
    """What became of the prompt."""

    cached_tokens: Count | None = None


class Usage(BaseModel):
    """Tokens of the whole call; reasoning is among those of the completion."""

    prompt_tokens: Count
    completion_tokens: Count
    prompt_tokens_details: PromptDetails | None = None

    @property
    def cached_tokens(self) -> int:
        details = self.prompt_tokens_details
        return 0 if details is None else details.cached_tokens or 0


MOST_CHOICES = 16
"""In one event. As the rest of a list after the first that is wrong, more are not read: a server
can put half a million into one, which would hold up the loop for seconds."""


class Chunk(BaseModel):
    """One event of the stream. An `error` ends it."""

    choices: list[Choice] | None = Field(None, fail_fast=True, max_length=MOST_CHOICES)
    usage: Usage | None = None
    error: Any = None


def chunk_of(data: str, server: str) -> Chunk:
    """Reads an event. Raises BackboneError that names what is wrong, and quotes none of it."""
    try:
        return Chunk.model_validate_json(data)
    except ValidationError as exc:
        wrong = ", ".join(
            f"{'.'.join(map(str, error['loc'])) or 'all'} ({error['type']})"
            for error in exc.errors()
        )
        raise BackboneError(
            f"{server} sent what is no chunk of a chat completion: {wrong}"
        ) from None
