"""Makes LLM calls ready: the prompt in its chat template, counted, and the most it can cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from budgetmem.backbone import GenerationRequest, Models
from budgetmem.config import Profile
from budgetmem.ledger import Bound
from budgetmem.prices import PriceBook
from budgetmem.prompting import Prompt
from budgetmem.reasons import CONTEXT
from budgetmem.stages import ANSWER


@dataclass(frozen=True)
class Call:
    """One LLM call, made ready: what is sent, to which backbone, and the most it can cost."""

    stage: str
    backbone: str
    request: GenerationRequest
    bound: Bound
    overflow: str | None
    """Says by how much the call passes the backbone's context; None if it fits."""


@dataclass(frozen=True)
class Calls:
    """The calls to a profile's backbones."""

    profile: Profile
    models: Models
    prices: PriceBook

    def make(
        self,
        stage: str,
        key: str,
        prompt: Prompt,
        max_tokens: int,
        schema: Mapping[str, Any] | None,
    ) -> Call:
        """A call to the backbone `key`, of at most `max_tokens` of output."""
        profile = self.profile.backbones[key]
        text = profile.template.replace("{prompt}", prompt.text)
        read = self.models.backbones[key].tokens.count(text)
        over = read + max_tokens - profile.context
        return Call(
            stage=stage,
            backbone=key,
            request=GenerationRequest(
                text,
                max_tokens,
                schema,
                shared=profile.template.index("{prompt}") + len(prompt.prefix),
                prompt_tokens=read,
            ),
            bound=self.bound(key, read, max_tokens),
            overflow=f"{CONTEXT}: {over} tokens over {profile.context}" if over > 0 else None,
        )

    def answer(self, prompt: Prompt) -> Call:
        """A call to the answerer."""
        limit = self.profile.generation.answer
        return self.make(ANSWER, self.profile.answerer, prompt, limit, None)

    def bound(self, key: str, input_tokens: int, output_tokens: int) -> Bound:
        """What so many tokens of the backbone `key` cost, and about how long they take."""
        speed = self.profile.backbones[key].speed
        seconds = input_tokens / speed.prefill + output_tokens / speed.decode
        return Bound(self.prices.cost(key, input_tokens, output_tokens), seconds * 1e3)
