"""One gRPC channel to one Triton server, and Triton's failures as BudgetMem's errors.

The only module that imports tritonclient.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc import InferInput, InferResult, service_pb2
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from budgetmem.errors import BackboneError, BackboneUnavailable
from budgetmem.keepalive import keepalive
from budgetmem.reply_bounds import LONGEST_SILENCE_S
from budgetmem.tracing import trace_headers
from budgetmem.triton.reading import reading

Array = NDArray[Any]
Tensors = Mapping[str, Array]

SECURE_SCHEME = "grpcs://"
PLAIN_SCHEME = "grpc://"

LONGEST_RESPONSE = 2**28
"""Bytes of one response. No batch of vectors or annotations comes near it."""

CHANNEL_OPTIONS = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", LONGEST_RESPONSE),
    # The default backs off to two minutes, far too long for a server that restarts in seconds.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1000),
    ("grpc.max_reconnect_backoff_ms", 2000),
)
PLAIN_OPTIONS = (*CHANNEL_OPTIONS, ("grpc.enable_http_proxy", 0))
"""Without TLS: prompts go past every proxy that the environment names."""

ABOUT_S = 60.0
"""How long is waited for what a server says of itself, for which no model has to work."""

ERRORS_AS_STATUS = {"triton_grpc_error": "true"}
"""Ends a stream with the status of its error; otherwise only the message of the error comes."""

GONE_STATUSES = frozenset(
    f"StatusCode.{code.name}"
    for code in (
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.UNKNOWN,
    )
)
GONE_MESSAGES = ("is not healthy", "unhealthy", "RST_STREAM", "Socket closed")
"""Parts of the messages with which a dead model process or connection comes as INTERNAL."""


@dataclass(frozen=True)
class Patience:
    """With a server whose machine may have vanished without a farewell, in seconds.

    What is sent has to arrive within `answer_s`; while calls wait, and nothing comes for
    `silence_s`, a sign of life is asked for, with the same time. Else the connection ends with all
    its calls, and the next call opens another.

    A server of gRPC's defaults, as Triton is, sends away whoever asks more often than every five
    minutes. Other calls, canaries and the pulses of replies are sent sooner, and find out the same.
    """

    silence_s: float = 300.0
    answer_s: float = 20.0

    @property
    def options(self) -> Sequence[tuple[str, int]]:
        """Of gRPC's core."""
        return keepalive(self.silence_s, self.answer_s)


@dataclass(frozen=True)
class ModelContract:
    """What a loaded model says of itself. `max_batch_size` 0: it does not batch by a first axis."""

    inputs: frozenset[str]
    outputs: frozenset[str]
    max_batch_size: int
    decoupled: bool


@dataclass(frozen=True)
class ServerInfo:
    """Name, version and extensions, as the server reports them."""

    name: str
    version: str
    extensions: tuple[str, ...]


class Channel:
    """A connection to `url` (host:port, or grpcs://host:port for TLS), opened on first use.

    Requests take the current trace along, in W3C headers, for a Triton that traces. Those for one
    response wait for it `longest_s` seconds.
    """

    def __init__(
        self, url: str, *, longest_s: float = LONGEST_SILENCE_S, patience: Patience | None = None
    ) -> None:
        self.url = url
        self._longest_s = longest_s
        secure = url.startswith(SECURE_SCHEME)
        self._client = InferenceServerClient(
            url.removeprefix(SECURE_SCHEME).removeprefix(PLAIN_SCHEME),
            ssl=secure,
            channel_args=[
                *(CHANNEL_OPTIONS if secure else PLAIN_OPTIONS),
                *(patience or Patience()).options,
            ],
        )

    async def close(self) -> None:
        await self._client.close()

    async def infer(self, model: str, inputs: Tensors, output: str) -> Array:
        """One request, one response: the tensor `output` of `model`."""
        with self._translated(model):
            result = await self._client.infer(
                model, _as_inputs(inputs), headers=trace_headers(), client_timeout=self._longest_s
            )
        return self._tensor(model, result, output)

    async def stream(
        self, model: str, inputs: Tensors, outputs: frozenset[str]
    ) -> AsyncGenerator[Tensors, None]:
        """The responses to one request of a decoupled model, each with those of `outputs` it has.

        Ends when the model has sent its last response. Closing the iterator, or cancelling the
        task that reads it, cancels the request in Triton.
        """
        requests = _once({"model_name": model, "inputs": _as_inputs(inputs)})
        with self._translated(model):
            responses = self._client.stream_infer(
                requests, headers={**ERRORS_AS_STATUS, **trace_headers()}
            )
            try:
                async for result, error in responses:
                    if error is not None:
                        raise error
                    with reading(model, self.url):
                        tensors = _tensors(result, outputs)
                    yield tensors
            finally:
                responses.cancel()

    async def ready(self, model: str, timeout_s: float) -> bool:
        """Whether the server answers within `timeout_s` that `model` is ready."""
        try:
            ready = await self._client.is_model_ready(model, client_timeout=timeout_s)
        except InferenceServerException:
            return False
        return bool(ready)

    async def contract(self, model: str) -> ModelContract:
        with self._translated(model):
            config = (await self._client.get_model_config(model, client_timeout=ABOUT_S)).config
        return ModelContract(
            inputs=frozenset(tensor.name for tensor in config.input),
            outputs=frozenset(tensor.name for tensor in config.output),
            max_batch_size=config.max_batch_size,
            decoupled=config.model_transaction_policy.decoupled,
        )

    async def server_info(self) -> ServerInfo:
        with self._translated("the server"):
            metadata: service_pb2.ServerMetadataResponse = await self._client.get_server_metadata(
                client_timeout=ABOUT_S
            )
        return ServerInfo(metadata.name, metadata.version, tuple(metadata.extensions))

    def _tensor(self, model: str, result: InferResult, name: str) -> Array:
        with reading(model, self.url):
            tensor: Array | None = result.as_numpy(name)
        if tensor is None:
            raise BackboneError(f"{model} at {self.url} sent no {name!r}")
        return tensor

    @contextlib.contextmanager
    def _translated(self, model: str) -> Iterator[None]:
        """Raises BackboneUnavailable for a failure that may pass, BackboneError for the others."""
        try:
            yield
        except InferenceServerException as exc:
            raise self._error(model, str(exc.status()), exc.message()) from exc
        except grpc.aio.AioRpcError as exc:
            raise self._error(model, str(exc.code()), exc.details() or "") from exc

    def _error(self, model: str, status: str, message: str) -> BackboneError:
        if status in GONE_STATUSES or any(part in message for part in GONE_MESSAGES):
            return BackboneUnavailable(
                f"{model} at {self.url} cannot be reached or went away ({message}): check that "
                "Triton runs there and has the model loaded, and look into its log"
            )
        return BackboneError(f"{model} at {self.url}: {message}")


async def _once(request: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
    yield request


def _as_inputs(tensors: Tensors) -> list[InferInput]:
    inputs = []
    for name, array in tensors.items():
        tensor = InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
        tensor.set_data_from_numpy(array)
        inputs.append(tensor)
    return inputs


def _tensors(result: InferResult, names: frozenset[str]) -> Tensors:
    present = names.intersection(output.name for output in result.get_response().outputs)
    return {name: result.as_numpy(name) for name in present}


def text_tensor(*texts: str) -> Array:
    """BYTES [len(texts)]."""
    return np.array([text.encode() for text in texts], dtype=np.object_)
