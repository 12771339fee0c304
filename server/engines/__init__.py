"""Generation engines that run inside Triton's Python backend, by name.

Each is imported only when it is asked for: they need large libraries of which a site has one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from budgetmem.errors import ConfigError
from server.engines.base import Engine
from server.engines.options import read_options
from server.engines.threaded import ThreadedEngine


def _open_openvino(weights: Path, options: Mapping[str, str], name: str) -> Engine:
    from server.engines.openvino import (  # noqa: PLC0415
        OpenVinoOptions,
        OpenVinoRunner,
    )

    chosen = read_options(OpenVinoOptions, options)
    return ThreadedEngine(
        lambda: OpenVinoRunner(weights, chosen), name, stream_interval=chosen.stream_interval
    )


def _open_transformers(weights: Path, options: Mapping[str, str], name: str) -> Engine:
    from server.engines.transformers import (  # noqa: PLC0415
        TransformersOptions,
        TransformersRunner,
    )

    chosen = read_options(TransformersOptions, options)
    return ThreadedEngine(
        lambda: TransformersRunner(weights, chosen), name, stream_interval=chosen.stream_interval
    )


ENGINES: Mapping[str, Callable[[Path, Mapping[str, str], str], Engine]] = {
    "openvino": _open_openvino,
    "transformers": _open_transformers,
}


def open_engine(engine: str, weights: Path, options: Mapping[str, str], name: str) -> Engine:
    """Opens an engine by name and waits until it can generate.

    Raises ConfigError for an unknown engine, unknown options or missing weights, BackboneError
    where the weights do not load.
    """
    if engine not in ENGINES:
        raise ConfigError(f"no engine {engine!r}: use one of {', '.join(sorted(ENGINES))}")
    return ENGINES[engine](weights, options, name)
