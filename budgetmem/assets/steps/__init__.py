"""Conversions after download, by their names in the catalogue.

Each module has `TOOL`, the distribution whose version shapes the result, and
`run(source, target)`. A module is imported when its step runs: the tools are heavy and optional.
"""

from __future__ import annotations

import importlib
from importlib import metadata
from pathlib import Path
from typing import Protocol, cast

from budgetmem.errors import AssetError

_MODULES = {
    "gguf-q5_0-to-q8_0": "gguf_requantize",
    "gguf-tokenizer": "gguf_tokenizer",
    "onnx-pool": "onnx_pool",
}


class Conversion(Protocol):
    """What every module of this package offers."""

    TOOL: str

    def run(self, source: Path, target: Path) -> None:
        """Reads `source`, writes `target`. Raises AssetError if `source` cannot be converted."""


def load_step(name: str) -> Conversion:
    """Finds a step. Raises AssetError if it is unknown or its tool is not installed."""
    if name not in _MODULES:
        raise AssetError(f"unknown step {name!r}: known are {', '.join(_MODULES)}")
    try:
        return cast("Conversion", importlib.import_module(f"{__name__}.{_MODULES[name]}"))
    except ImportError as exc:
        raise AssetError(
            f"step {name} needs {exc.name}: run `pip install 'budgetmem[embedded]'`"
        ) from exc


def tool_version(step: Conversion) -> str:
    """Version of the tool behind a step, for the receipt."""
    return metadata.version(step.TOOL)
