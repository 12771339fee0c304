"""The tagger model: texts in, entities, relations and noun phrases out, by spaCy.

Parameters: `model` (path of a spaCy model folder) or `asset`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from budgetmem.errors import BudgetMemError
from server.annotating import Annotator
from server.triton_models import pb
from server.triton_models.parameters import ModelParameters
from server.triton_models.tagging import annotations_of


class TaggerModel:
    """Annotates each request's texts as one batch."""

    def initialize(self, args: Mapping[str, str]) -> None:
        pb.log_to_triton()
        self._annotator = Annotator.open(ModelParameters.from_triton(args).weights())

    def execute(self, requests: Sequence[pb.Request]) -> list[object]:
        return [self._respond(request) for request in requests]

    def _respond(self, request: pb.Request) -> object:
        try:
            outputs = annotations_of(self._annotator, pb.tensors_of(request, ["text"]))
        except BudgetMemError as exc:
            return pb.failure_of(exc)
        return pb.response_of(outputs)
