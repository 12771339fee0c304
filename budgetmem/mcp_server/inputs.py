"""What a model passes to the tools. The descriptions are part of the prompt that it reads."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from budgetmem.errors import InvalidInput
from budgetmem.tiers import Tier, TierName
from budgetmem.types import Budget, Turn
from budgetmem.wire.values import decode_time

ID_DIGITS = 32


def _read_time(given: object) -> datetime:
    """Of ISO 8601 text alone: left to itself, pydantic takes "2024" for seconds since 1970."""
    try:
        time = decode_time(given, "given") if isinstance(given, str) else None
    except InvalidInput as exc:
        raise ValueError(str(exc)) from exc
    if time is None:
        raise ValueError("must be the text of an ISO 8601 time, such as 2023-05-08T13:56:00")
    return time


# Its own schema would have the format date-time, which is that of times with an offset: models
# would make one up.
Time = Annotated[datetime, BeforeValidator(_read_time), WithJsonSchema({"type": "string"})]

History = Annotated[
    str,
    Field(description="Name of the history: one conversation, person or project, as `histories`."),
]
Question = Annotated[
    str,
    Field(description="The question in full words, as the user asks it; no keywords, no pronouns."),
]
AskedAt = Annotated[
    Time | None,
    Field(description='When the question is asked (ISO 8601); "last week" counts from it.'),
]


class TurnInput(BaseModel):
    """One utterance, word for word."""

    model_config = ConfigDict(extra="forbid")

    speaker: str = Field(description="Who said it.")
    text: str = Field(description="What was said, word for word; do not summarise.")
    time: Time | None = Field(
        default=None, description='When it was said (ISO 8601); "yesterday" counts from it.'
    )
    session: str = Field(
        default="",
        description="The sitting that it belongs to; left out, turns of one day are one.",
    )
    caption: str | None = Field(default=None, description="What an image that came with it shows.")
    id: str | None = Field(
        default=None,
        description="Unique in the history; left out, it is made from all of the above.",
    )

    def turn(self) -> Turn:
        """The turn. Without an id it gets one by which the same words are kept once."""
        return Turn(
            id=self._made_id() if self.id is None else self.id,
            speaker=self.speaker,
            text=self.text,
            time=self.time,
            session=self.session,
            caption=self.caption,
        )

    def _made_id(self) -> str:
        said = json.dumps(self.model_dump(mode="json", exclude={"id"}), sort_keys=True)
        return hashlib.sha256(said.encode()).hexdigest()[:ID_DIGITS]


class BudgetInput(BaseModel):
    """What one call may spend. Left out, the server's router chooses, within the user's ceilings.

    The memory is made when it is asked for, by modules that each run on a tier: low (rules, free
    or nearly), mid (small models), high (a large model: better, dearer, slower). Where a ceiling
    does not allow a tier, a lower one runs, and the receipt says so.
    """

    model_config = ConfigDict(extra="forbid")

    tier: TierName | None = Field(
        default=None,
        description="One tier for all modules: low for a quick look, high for what is hard.",
    )
    tiers: dict[str, TierName] = Field(
        default_factory=dict,
        description="Tiers of single modules (filter, entity, temporal, topic, summary).",
    )
    cost_weight: float | None = Field(
        default=None, ge=0, description="Without tiers: 0 is quality at any price, more is cheaper."
    )
    max_cost_usd: float | None = Field(default=None, ge=0, description="Hard ceiling in USD.")
    max_latency_ms: float | None = Field(
        default=None, gt=0, description="Hard ceiling in milliseconds."
    )

    def pinned(self) -> Tier | None:
        """The tier of all modules that have none of their own."""
        return None if self.tier is None else Tier[self.tier.upper()]

    def within(self, ceilings: Budget) -> Budget:
        """What is granted: what was asked for, and never more than the user's ceilings."""
        return Budget(
            tiers={module: Tier[name.upper()] for module, name in self.tiers.items()},
            cost_weight=self.cost_weight,
            max_cost_usd=_least(ceilings.max_cost_usd, self.max_cost_usd),
            max_latency_ms=_least(ceilings.max_latency_ms, self.max_latency_ms),
        )


def _least(*ceilings: float | None) -> float | None:
    return min((each for each in ceilings if each is not None), default=None)
