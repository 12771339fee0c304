"""What a trained router scored and cost when it was made, as far as its card tells."""

from __future__ import annotations

from operator import attrgetter
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from budgetmem.info import Frontier, FrontierPoint
from budgetmem.router_artifact import RouterCard


class _Told(BaseModel):
    """Cards tell more than what is read here."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)


class _Training(_Told):
    dataset: str


class _Metrics(_Told):
    questions: Annotated[int, Field(gt=0, lt=2**31)]
    by_cost_weight: Annotated[tuple[FrontierPoint, ...], Field(min_length=1)]


def frontier_of(card: RouterCard) -> Frontier | None:
    """The frontier of a card that training/train.py wrote; None where it tells of none.

    What a card says of its training and metrics has no promised form, so nothing here is an error:
    a router that says less of itself serves as well.
    """
    try:
        training = _Training.model_validate(card.training)
        metrics = _Metrics.model_validate(card.metrics)
    except ValidationError:
        return None
    rising = sorted(metrics.by_cost_weight, key=attrgetter("cost_weight"))
    return Frontier(training.dataset, card.profile, metrics.questions, tuple(rising))
