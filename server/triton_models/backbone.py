"""The LLM backbone model: the contract of Triton's vLLM backend, on an engine of one's choice.

Parameters of its config.pbtxt: `engine` (see `server.engines.ENGINES`), `model` (path of the
weights) or `asset` (catalogue name), `drain_seconds`, and the options of the engine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from server.engines import open_engine
from server.triton_models import pb
from server.triton_models.generation import INPUTS, GenerationServer
from server.triton_models.parameters import ModelParameters

DEFAULT_ENGINE = "openvino"
DEFAULT_DRAIN_SECONDS = 5
"""How long `finalize` lets the requests under way go on; Triton's exit timeout is its limit."""


class BackboneModel:
    """Decoupled: `execute` queues the requests and returns, their responses come by themselves."""

    def initialize(self, args: Mapping[str, str]) -> None:
        pb.log_to_triton()
        parameters = ModelParameters.from_triton(args)
        self._drain_seconds = parameters.integer("drain_seconds", DEFAULT_DRAIN_SECONDS)
        options = parameters.others("engine", "model", "asset", "drain_seconds")
        if parameters.device != "cpu":
            options = {"device": parameters.device, **options}
        engine = open_engine(
            parameters.text("engine", DEFAULT_ENGINE),
            parameters.weights(),
            options,
            parameters.model_name,
        )
        self._server = GenerationServer(engine)

    def execute(self, requests: Sequence[pb.Request]) -> None:
        for request in requests:
            self._server.accept(
                pb.tensors_of(request, INPUTS), request.parameters(), pb.SenderChannel(request)
            )

    def finalize(self) -> None:
        self._server.close(self._drain_seconds)
