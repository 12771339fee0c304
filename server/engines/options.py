"""Engine options: the strings of a Triton configuration's `parameters`, converted and checked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from budgetmem.errors import ConfigError

Positive = Annotated[int, Field(gt=0)]


class EngineOptions(BaseModel):
    """Options of every engine. `max_model_len` is the context in tokens; None asks the weights.

    A stream sends the first token at once, then whenever `stream_interval` more tokens are there.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_model_len: Positive | None = None
    max_num_seqs: Positive = 16
    stream_interval: Positive = 1


Options = TypeVar("Options", bound=EngineOptions)


def read_options(kind: type[Options], given: Mapping[str, str]) -> Options:
    """Options from strings; an empty string is an option not given. Raises ConfigError."""
    try:
        return kind.model_validate({name: value for name, value in given.items() if value != ""})
    except ValidationError as exc:
        faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in exc.errors())
        known = ", ".join(sorted(kind.model_fields))
        raise ConfigError(f"engine options: {faults} (known: {known})") from exc


def gguf_file(weights: Path) -> Path | None:
    """The GGUF file that `weights` is or, as a folder, holds under the name model.gguf."""
    candidate = weights / "model.gguf" if weights.is_dir() else weights
    return candidate if candidate.is_file() and candidate.suffix == ".gguf" else None


def gguf_context_length(file: Path) -> int | None:
    """The context, in tokens, that a GGUF file says its model was trained for."""
    from gguf import GGUFReader  # noqa: PLC0415 - an optional dependency

    reader = GGUFReader(file)
    architecture = reader.get_field("general.architecture")
    if architecture is None:
        return None
    length = reader.get_field(f"{architecture.contents()}.context_length")
    return None if length is None else int(length.contents())
