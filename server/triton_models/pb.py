"""The thin layer over `triton_python_backend_utils`, which exists only inside Triton."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import numpy as np
import triton_python_backend_utils as pb_utils
from numpy.typing import NDArray

from budgetmem.errors import (
    AssetError,
    BackboneUnavailable,
    BudgetMemError,
    ConfigError,
    InvalidInput,
    NotFound,
)
from server.engines.base import RequestCancelled

log = logging.getLogger(__name__)

Tensors = Mapping[str, NDArray[Any]]


class Sender(Protocol):
    """Triton's response sender of one request."""

    def send(self, response: object, flags: int) -> None: ...

    def is_cancelled(self) -> bool: ...


class Request(Protocol):
    """Triton's InferenceRequest. `parameters` is JSON."""

    def get_response_sender(self) -> Sender: ...

    def parameters(self) -> str: ...


CODES: tuple[tuple[type[BudgetMemError], str], ...] = (
    (InvalidInput, "INVALID_ARG"),
    (RequestCancelled, "CANCELLED"),
    (BackboneUnavailable, "UNAVAILABLE"),
    (NotFound, "NOT_FOUND"),
    (ConfigError, "UNSUPPORTED"),
    (AssetError, "UNAVAILABLE"),
    (BudgetMemError, "INTERNAL"),
)
"""The first class that fits gives the code, an attribute of TritonError.

Names, because Triton fills `triton_python_backend_utils` only after it has imported the model."""


def error_of(error: BudgetMemError) -> object:
    """The TritonError for one of ours."""
    name = next(name for kind, name in CODES if isinstance(error, kind))
    code = getattr(pb_utils.TritonError, name)
    triton_error: object = pb_utils.TritonError(str(error), code)
    return triton_error


def tensors_of(request: Request, names: Iterable[str]) -> dict[str, NDArray[Any]]:
    """The input tensors that the request carries, by name."""
    found = {name: pb_utils.get_input_tensor_by_name(request, name) for name in names}
    return {name: tensor.as_numpy() for name, tensor in found.items() if tensor is not None}


def response_of(outputs: Tensors) -> object:
    """An InferenceResponse with these outputs."""
    response: object = pb_utils.InferenceResponse(
        output_tensors=[
            pb_utils.Tensor(name, np.ascontiguousarray(tensor)) for name, tensor in outputs.items()
        ]
    )
    return response


def failure_of(error: BudgetMemError) -> object:
    """An InferenceResponse that carries an error and nothing else."""
    response: object = pb_utils.InferenceResponse(output_tensors=[], error=error_of(error))
    return response


class SenderChannel:
    """A `server.triton_models.generation.Channel` over the response sender of one request."""

    def __init__(self, request: Request) -> None:
        self._sender = request.get_response_sender()

    def send(self, outputs: Tensors, *, final: bool) -> None:
        self._send(response_of(outputs), final=final)

    def fail(self, error: BudgetMemError) -> None:
        self._send(failure_of(error), final=True)

    def is_cancelled(self) -> bool:
        return self._sender.is_cancelled()

    def _send(self, response: object, *, final: bool) -> None:
        flags = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL if final else 0
        try:
            self._sender.send(response, flags)
        except pb_utils.TritonModelException as exc:
            # One client that cannot be answered must not end the thread that serves the others.
            log.warning("a response could not be sent: %s", exc)


class TritonLogHandler(logging.Handler):
    """Writes log records to Triton's log."""

    def emit(self, record: logging.LogRecord) -> None:
        write = pb_utils.Logger.log_info
        if record.levelno >= logging.WARNING:
            write = pb_utils.Logger.log_warn
        if record.levelno >= logging.ERROR:
            write = pb_utils.Logger.log_error
        write(self.format(record))


def log_to_triton() -> None:
    """Sends what our packages log to Triton's log, from INFO on."""
    for name in ("server", "budgetmem"):
        package = logging.getLogger(name)
        package.setLevel(logging.INFO)
        package.handlers = [TritonLogHandler()]
