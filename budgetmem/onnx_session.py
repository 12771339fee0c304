"""ONNX Runtime sessions that say which device they run on, and never change it in silence."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from budgetmem.errors import AssetError, BackboneError, ConfigError, InvalidInput

log = logging.getLogger(__name__)

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"


@dataclass(frozen=True)
class OnnxSession:
    """An open model. `provider` is the execution provider that it really got."""

    path: Path
    provider: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    session: Any

    def run(
        self, outputs: Sequence[str], feeds: Mapping[str, NDArray[Any]]
    ) -> dict[str, NDArray[Any]]:
        """Outputs by name. Raises InvalidInput for missing inputs, BackboneError for the rest."""
        missing = [name for name in self.inputs if name not in feeds]
        if missing:
            raise InvalidInput(missing[0], f"is missing; the model takes {', '.join(self.inputs)}")
        unknown = [name for name in outputs if name not in self.outputs]
        if unknown:
            raise ConfigError(f"{self.path}: no output {unknown[0]!r} among {self.outputs}")
        refused, failed = _errors()
        try:
            values = self.session.run(list(outputs), dict(feeds))
        except refused as exc:
            raise InvalidInput("inputs", f"refused by {self.path.name}: {exc}") from exc
        except failed as exc:
            raise BackboneError(f"{self.path.name}: {exc}") from exc
        return dict(zip(outputs, values, strict=True))


def open_session(
    path: Path, device: str = "auto", *, intra_op_threads: int = 0, content: bytes | None = None
) -> OnnxSession:
    """Opens an ONNX file on `device`: `cpu`, `cuda`, `cuda:N`, or `auto` (CUDA if it is there).

    `content` is what the file had when it was read, for callers that have checked it: the file is
    then not read again, and `path` is for messages. `intra_op_threads` 0 uses all cores. Idle
    threads sleep rather than spin, because they share the cores with others. Raises AssetError for
    a missing or broken file, and ConfigError for an unknown device, and where CUDA was asked for by
    name but did not come up.
    """
    import onnxruntime as ort  # noqa: PLC0415 - an optional dependency

    if content is None and not path.is_file():
        raise AssetError(f"{path}: no such ONNX file")
    options = ort.SessionOptions()
    options.intra_op_num_threads = intra_op_threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    wanted = _providers(device, ort.get_available_providers())
    try:
        session = ort.InferenceSession(
            str(path) if content is None else content, options, providers=wanted
        )
    except (*_errors()[0], *_errors()[1]) as exc:
        raise AssetError(f"{path}: ONNX Runtime cannot open it: {exc}") from exc
    provider = session.get_providers()[0]
    if device.startswith("cuda") and provider != CUDA:
        raise ConfigError(f"{path}: CUDA was asked for, but the session runs on {provider}")
    log.info("%s runs on %s", path, provider)
    return OnnxSession(
        path,
        provider,
        tuple(node.name for node in session.get_inputs()),
        tuple(node.name for node in session.get_outputs()),
        session,
    )


def _providers(device: str, available: Sequence[str]) -> list[Any]:
    kind, _, index = device.partition(":")
    if kind not in {"auto", "cpu", "cuda"} or (index and not index.isdecimal()):
        raise ConfigError(f"device {device!r}: use auto, cpu, cuda or cuda:N")
    if kind == "cuda" and CUDA not in available:
        raise ConfigError(f"device {device!r}: this ONNX Runtime has only {', '.join(available)}")
    if kind == "cpu" or CUDA not in available:
        return [CPU]
    return [(CUDA, {"device_id": index or "0"}), CPU]


def _errors() -> tuple[tuple[type[Exception], ...], tuple[type[Exception], ...]]:
    """The library's exceptions for inputs that it refuses, and for everything else.

    They have no base class of their own.
    """
    from onnxruntime.capi import onnxruntime_pybind11_state as state  # noqa: PLC0415

    refused = (state.InvalidArgument, ValueError)
    failed = (
        state.EPFail,
        state.Fail,
        state.InvalidGraph,
        state.InvalidProtobuf,
        state.NoSuchFile,
        state.NotImplemented,
        state.RuntimeException,
        RuntimeError,
    )
    return refused, failed
