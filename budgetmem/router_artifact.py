"""Trained routers on disk: a folder with `router.onnx`, `router.json` and `README.md`.

`load` trusts nothing of it. A router that came out of step with this version, with its own
description or with itself would still choose tiers, only badly; so it is refused instead.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator

from budgetmem.assets.catalogue import load_catalogue
from budgetmem.config import Profile
from budgetmem.errors import AssetError, ConfigError
from budgetmem.features import check_names
from budgetmem.modules import MODULES
from budgetmem.onnx_session import OnnxSession, open_session
from budgetmem.router_graph import check_graph
from budgetmem.router_operators import AGAIN, check_model
from budgetmem.tiers import STRATEGIES

ONNX_FILE = "router.onnx"
CARD_FILE = "router.json"
README_FILE = "README.md"

FORMAT = 1
"""The form of router.json that this version reads."""

OPSETS = range(13, 23)
"""The ONNX operator sets that a router may use."""

PACKAGES = ("onnx", "onnxruntime")
"""What trained routers need: one reads and checks the graph, the other runs it."""

ENCODER_FILE = "model.onnx"
"""An encoder's model among the files of its asset."""

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class EncoderCard(_Table):
    """The sentence encoder whose vectors the router reads.

    `name` is that of the asset catalogue; `sha256` is encoder_sha256 of it, at the training.
    """

    name: Annotated[str, Field(min_length=1)]
    dimension: Annotated[int, Field(gt=0)]
    sha256: Sha256


class CostWeightCard(_Table):
    """The range of lambda that the router was trained for, ends included."""

    min: Annotated[float, Field(ge=0)]
    max: Annotated[float, Field(ge=0)]

    @model_validator(mode="after")
    def _is_a_range(self) -> CostWeightCard:
        if self.min > self.max:
            raise ValueError("`min` is above `max`")
        return self


class RouterCard(_Table):
    """What `router.json` says.

    `features` are names of budgetmem.features, in the order of the graph's input; `modules` those
    of the pipeline, by module id. `training` and `metrics` are for people: they are shown as far as
    they can be read (budgetmem.router_frontier), and decide nothing.
    """

    format: Literal[1]
    onnx_sha256: Sha256
    opset: int
    encoder: EncoderCard
    strategy: str
    profile: str
    modules: tuple[str, ...]
    features: Annotated[tuple[str, ...], Field(min_length=1)]
    cost_weight: CostWeightCard
    training: Mapping[str, JsonValue]
    metrics: Mapping[str, JsonValue]
    licence: str
    version: Annotated[str, Field(pattern=r"^[\w.-]{1,64}$")]


@dataclass(frozen=True)
class Artifact:
    """A router that passed every check of `load`, open on one thread of the CPU."""

    folder: Path
    card: RouterCard
    session: OnnxSession

    @property
    def onnx(self) -> Path:
        """The graph's file."""
        return self.folder / ONNX_FILE


def short_version(strategy: str, onnx_sha256: str) -> str:
    """The name on receipts: `capacity-3f2a91c4`."""
    return f"{strategy}-{onnx_sha256[:8]}"


def encoder_sha256(asset: str) -> str:
    """The SHA-256 of an encoder's model as the asset catalogue has it.

    It is that of the download: a conversion after it does not give the same bytes everywhere.
    Raises ConfigError if the catalogue has no such encoder.
    """
    catalogue = load_catalogue()
    for part in catalogue[asset].downloads if asset in catalogue else ():
        for file in part.files:
            if file.name == ENCODER_FILE:
                return file.sha256
    raise ConfigError(
        f"the asset catalogue has no encoder {asset!r}: a router can only be used with one of its "
        "encoders"
    )


def load(folder: Path) -> Artifact:
    """Reads and checks a router's folder. Blocks for some tens of milliseconds.

    Raises ConfigError naming the file, what is wrong with it and what to do.
    """
    card = read_card(folder)
    session = _open(folder / ONNX_FILE, card)
    try:
        check_graph(session, card.encoder.dimension, len(card.features))
    except ConfigError as exc:
        raise ConfigError(f"{session.path}: {exc}") from exc
    return Artifact(folder, card, session)


def check_for(artifact: Artifact, profile: Profile) -> str | None:
    """Whether a router can serve under a profile; returns a warning, or None.

    Raises ConfigError if the profile has another encoder, or this version's catalogue another one
    under the same name. A router of another profile can be asked, but its prices and models are not
    those that it learned from: that is the warning.
    """
    trained, encoder = artifact.card.encoder, profile.encoder
    if (trained.name, trained.dimension) != (encoder.asset, encoder.dimension):
        raise ConfigError(
            f"{artifact.folder}: the router reads vectors of the encoder {trained.name!r} "
            f"({trained.dimension} dimensions), but the profile {profile.name!r} has "
            f"{encoder.asset!r} ({encoder.dimension}): use a router that was trained with it"
        )
    if trained.sha256 != (sha256 := encoder_sha256(encoder.asset)):
        raise ConfigError(
            f"{artifact.folder}: the router was trained with other weights of the encoder "
            f"{encoder.asset!r}: SHA-256 {trained.sha256}, and this version has {sha256}: train it "
            "again, or serve it by the version of budgetmem that it was trained with"
        )
    if artifact.card.profile == profile.name:
        return None
    return (
        f"{artifact.folder}: the router {artifact.card.version} was trained on the profile "
        f"{artifact.card.profile!r} and serves {profile.name!r}: its choices may be poor there"
    )


def read_card(folder: Path) -> RouterCard:
    """What a router's folder says of itself, checked; of the network it tells nothing.

    Raises ConfigError as `load`.
    """
    path = folder / CARD_FILE
    try:
        card = RouterCard.model_validate_json(_bytes(path))
    except ValidationError as exc:
        raise ConfigError(f"{path}: {_faults(exc)}") from exc
    _check_card(path, card)
    return card


def _bytes(path: Path) -> bytes:
    if not path.parent.is_dir():
        raise ConfigError(f"{path.parent}: no such folder: name one that has a trained router")
    try:
        return path.read_bytes()
    except FileNotFoundError as exc:
        raise ConfigError(
            f"{path}: no such file: a router's folder has {ONNX_FILE} and {CARD_FILE}, as "
            "training/export_onnx.py writes them"
        ) from exc
    except OSError as exc:
        raise ConfigError(f"{path}: cannot be read: {exc.strerror}") from exc


def _faults(exc: ValidationError) -> str:
    errors = exc.errors()
    if errors[0]["type"] == "json_invalid":
        return f"not valid JSON, or cut off: {errors[0]['msg']}: export the router again"
    for error in errors:
        if error["loc"] == ("format",) and error["type"] != "missing":
            return (
                f"format {error['input']!r} is unknown, this version reads {FORMAT}: "
                "export the router again, or use the version of budgetmem that it is for"
            )
    named = (f"{'.'.join(map(str, e['loc'])) or 'the card'}: {e['msg']}" for e in errors)
    return f"{'; '.join(named)}: export the router again"


def _check_card(path: Path, card: RouterCard) -> None:
    if card.strategy not in STRATEGIES:
        known = ", ".join(STRATEGIES)
        raise ConfigError(f"{path}: strategy: {card.strategy!r} is not one of {known}")
    if card.modules != tuple(MODULES):
        raise ConfigError(
            f"{path}: modules: the router is for {', '.join(card.modules)}, but the pipeline has "
            f"{', '.join(MODULES)}: train it again"
        )
    if len(set(card.features)) < len(card.features):
        raise ConfigError(f"{path}: features: a name comes twice: export the router again")
    try:
        check_names(card.features)
    except ConfigError as exc:
        raise ConfigError(
            f"{path}: features: {exc}: use a newer budgetmem, or train the router again"
        ) from exc
    if card.opset not in OPSETS:
        raise ConfigError(
            f"{path}: opset: {card.opset} is not supported, use {OPSETS[0]} to {OPSETS[-1]}: "
            "export the router again"
        )


def _open(path: Path, card: RouterCard) -> OnnxSession:
    content = _bytes(path)
    found = hashlib.sha256(content).hexdigest()
    if found != card.onnx_sha256:
        raise ConfigError(
            f"{path}: its SHA-256 is {found}, but {CARD_FILE} says {card.onnx_sha256}: the file is "
            "cut off, changed, or of another export: copy the whole folder again"
        )
    if missing := [name for name in PACKAGES if find_spec(name) is None]:
        raise ConfigError(
            f"{path}: a trained router needs {' and '.join(missing)}: pip install "
            f"{' '.join(missing)} (or 'budgetmem[embedded]', which has both)"
        )
    try:
        check_model(content, card.opset)
    except ConfigError as exc:
        raise ConfigError(f"{path}: {exc}") from exc
    try:
        return open_session(path, "cpu", intra_op_threads=1, content=content)
    except AssetError as exc:
        raise ConfigError(f"{exc}: {AGAIN}") from exc
