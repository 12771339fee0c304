"""Profiles: one TOML file says which models fill the three tiers, what they cost, how to retrieve.

`load_profile("small")` reads a bundled profile, `load_profile("path/to/mine.toml")` one's own.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, model_validator

from budgetmem.backbone_config import (
    PROFILE_FOLDER,
    AnyBackbone,
    BackboneProfile,
    Credits,
    EndpointProfile,
    Positive,
    Price,
    Seconds,
    Speed,
    Table,
)
from budgetmem.errors import ConfigError
from budgetmem.tiers import TierName

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = [
    "ENCODER",
    "PIPELINE",
    "TAGGER",
    "BackboneProfile",
    "ChunkingProfile",
    "EncoderProfile",
    "EndpointProfile",
    "GenerationProfile",
    "Price",
    "Profile",
    "RetrievalProfile",
    "SchedulingProfile",
    "Speed",
    "TaggerProfile",
    "bundled_profiles",
    "load_profile",
]

ENCODER = "encoder"
TAGGER = "tagger"
PIPELINE = "pipeline"
"""The names of these where work is scheduled for them, as for backbones by their key."""

BatchItems = Annotated[int, Field(gt=0, le=1024)]
Waiting = Annotated[int, Field(gt=0, le=2**20)]


class EncoderProfile(Table):
    """The sentence encoder on Triton: ONNX, ids in, pooled and normalised embeddings out."""

    triton_model: str
    asset: str
    dimension: Positive
    max_tokens: Positive
    price: Price
    platform: Literal["python", "onnxruntime"] = "python"
    """`python`: the bundled model; `onnxruntime`: Triton's native ONNX Runtime backend."""
    instances: Positive = 1
    gpus: tuple[int, ...] = ()
    batch_items: BatchItems = 32
    """Texts of one batch at most."""
    batch_tokens: Annotated[int, Field(ge=0, le=2**20)] = 4096
    """Tokens of one batch at most, padding included; 0 is no limit."""
    credits: Credits = 2
    """Batches in flight at most: one that is computed, and one that is ready when it is done."""


class TaggerProfile(Table):
    """The spaCy tagger, parser and entity recogniser on Triton."""

    triton_model: str
    asset: str
    price: Price
    instances: Positive = 1
    batch_items: BatchItems = 64
    """Texts of one batch at most."""
    credits: Credits = 2
    """Batches in flight at most."""


class SchedulingProfile(Table):
    """How work waits for its turn (docs/scheduling.md).

    Capacities are calls, or full batches, that wait at one stage for one model; or requests.
    """

    quantum: Annotated[int, Field(gt=0, le=2**20)] = 1024
    """Tokens that a tenant's turn adds to what it may spend."""
    age_cap_s: Seconds = 30.0
    """Work without an earlier deadline is due so many seconds after its request began."""
    requests: Positive = 32
    """Requests that are worked on at once; the others wait, and tenants take turns."""
    queue_capacity: Waiting = 4096
    tenant_capacity: Waiting = 1024
    leader_timeout_s: Seconds = 30.0
    """Calls that share a prefix wait at most so long for the first of them to be read."""
    device_turn_s: Seconds = 10.0
    """A backbone keeps its device so long while others of the device have work."""


class ChunkingProfile(Table):
    """How a session becomes units of retrieval.

    `windows`: every turn with `neighbours` turns on both sides. `pack`: whole turns packed up to
    `max_tokens`, the paper's form. In both, a turn longer than `max_tokens` is split, never cut.
    """

    unit: Literal["windows", "pack"] = "windows"
    neighbours: Annotated[int, Field(ge=0)] = 1
    max_tokens: Positive = 256
    form: Literal["line", "said"] = "line"
    """How a turn is written: `line` is `NAME: TEXT`, `said` the paper's `NAME said, "TEXT"`."""


class RetrievalProfile(Table):
    """Ranking and how much reaches the pipeline, in tokens of the encoder's tokenizer."""

    ranking: Literal["dense", "keyword", "fused", "lines"] = "lines"
    max_tokens: Positive = 800
    rrf_constant: Positive = 10
    chunking: ChunkingProfile = ChunkingProfile()


class GenerationProfile(Table):
    """Output limits, in tokens, by what is generated."""

    filter: Positive = 64
    findings: Positive = 192
    summary: Positive = 192
    answer: Positive = 32


class Profile(Table):
    """A complete set of models. `tiers` maps Low, Mid and High to entries of `backbones`."""

    name: str
    about: str
    backbones: Mapping[str, AnyBackbone]
    tiers: Mapping[TierName, str]
    answerer: str
    encoder: EncoderProfile
    tagger: TaggerProfile
    retrieval: RetrievalProfile = RetrievalProfile()
    generation: GenerationProfile = GenerationProfile()
    scheduling: SchedulingProfile = SchedulingProfile()

    @model_validator(mode="after")
    def _names_resolve(self) -> Profile:
        missing = {"low", "mid", "high"} - set(self.tiers)
        if missing:
            raise ValueError(f"`tiers` lacks {', '.join(sorted(missing))}")
        for key in sorted({ENCODER, TAGGER, PIPELINE} & set(self.backbones)):
            raise ValueError(f"`backbones` may not have an entry {key!r}: it is a name of its own")
        for key, backbone in [*self.tiers.items(), ("answerer", self.answerer)]:
            if backbone not in self.backbones:
                raise ValueError(f"{key} = {backbone!r} is not one of `backbones`")
        return self

    @property
    def on_triton(self) -> Mapping[str, BackboneProfile]:
        """The backbones that are Triton's."""
        found = self.backbones.items()
        return {key: each for key, each in found if isinstance(each, BackboneProfile)}

    @property
    def endpoints(self) -> Mapping[str, EndpointProfile]:
        """The backbones that answer over HTTP."""
        found = self.backbones.items()
        return {key: each for key, each in found if isinstance(each, EndpointProfile)}

    @property
    def assets(self) -> tuple[str, ...]:
        """Catalogue names of everything this profile needs on disk, each once."""
        local = [b.asset for b in self.on_triton.values() if b.asset is not None]
        return tuple(dict.fromkeys([self.encoder.asset, self.tagger.asset, *local]))


def bundled_profiles() -> tuple[str, ...]:
    """Names of the profiles that come with the package."""
    folder = resources.files("budgetmem") / "profiles"
    return tuple(
        sorted(f.name.removesuffix(".toml") for f in folder.iterdir() if f.name.endswith(".toml"))
    )


def load_profile(name_or_path: str) -> Profile:
    """Reads a bundled profile by name, or a file by path.

    Raises ConfigError naming the file and every field that is wrong.
    """
    text = _read(name_or_path)
    context = {PROFILE_FOLDER: Path(name_or_path).absolute().parent}
    try:
        return Profile.model_validate(tomllib.loads(text), context=context)
    except tomllib.TOMLDecodeError as exc:
        raise ConfigError(f"profile {name_or_path}: not valid TOML: {exc}") from exc
    except ValidationError as exc:
        faults = "; ".join(f"{_place(error['loc'])}: {error['msg']}" for error in exc.errors())
        raise ConfigError(f"profile {name_or_path}: {faults}") from exc


def _place(loc: tuple[int | str, ...]) -> str:
    """Where a fault is, as the file has it: the kind of a backbone is no table of it."""
    keys = loc[:2] + loc[3:] if loc[:1] == ("backbones",) else loc
    return ".".join(map(str, keys)) or "profile"


def _read(name_or_path: str) -> str:
    bundled = resources.files("budgetmem") / "profiles" / f"{name_or_path}.toml"
    own = name_or_path.endswith(".toml")
    source = Path(name_or_path) if own else bundled
    if not source.is_file():
        known = ", ".join(bundled_profiles())
        fault = "there is no such file" if own else f"use one of {known}, or a path ending in .toml"
        raise ConfigError(f"no profile {name_or_path!r}: {fault}")
    try:
        return source.read_text(encoding="utf-8")
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{name_or_path}: must be a text in UTF-8") from exc
