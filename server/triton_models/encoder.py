"""The sentence encoder model: token ids in, sentence embeddings out, by ONNX Runtime.

Its tensors are those of the ONNX file itself, so that Triton's own ONNX Runtime backend can serve
the same file in its place. Parameters: `model` (path) or `asset`, `device`, `intra_op_threads`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from budgetmem.errors import BudgetMemError
from budgetmem.onnx_session import open_session
from server.triton_models import pb
from server.triton_models.parameters import ModelParameters

OUTPUT = "sentence_embedding"
"""float32 [batch, dimension]."""


class EncoderModel:
    """Runs each request as one batch."""

    def initialize(self, args: Mapping[str, str]) -> None:
        pb.log_to_triton()
        parameters = ModelParameters.from_triton(args)
        weights = parameters.weights()
        self._session = open_session(
            weights / "model.onnx" if weights.is_dir() else weights,
            parameters.text("device", parameters.device),
            intra_op_threads=parameters.integer("intra_op_threads", 0),
        )

    def execute(self, requests: Sequence[pb.Request]) -> list[object]:
        return [self._respond(request) for request in requests]

    def _respond(self, request: pb.Request) -> object:
        try:
            outputs = self._session.run([OUTPUT], pb.tensors_of(request, self._session.inputs))
        except BudgetMemError as exc:
            return pb.failure_of(exc)
        return pb.response_of(outputs)
