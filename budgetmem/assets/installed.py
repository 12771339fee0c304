"""What is in the cache: where it lies, whether it is whole, and the receipt of its making."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from platformdirs import user_cache_path
from pydantic import BaseModel, ConfigDict, ValidationError

from budgetmem.assets.catalogue import Asset, File, load_catalogue
from budgetmem.assets.files import sha256_of
from budgetmem.errors import AssetError, NotFound

RECEIPT = "asset.json"
State = Literal["installed", "missing", "damaged", "outdated"]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Origin(_Record):
    """Which source delivered which files."""

    source: str
    files: tuple[str, ...]


class StepRecord(_Record):
    """A step that ran, with the digests of its input and output."""

    step: str
    input: str
    output: str
    sha256_before: str
    sha256_after: str
    tool: str


class Receipt(_Record):
    """`asset.json`, written beside an asset's files when all of them are there."""

    name: str
    recipe: str
    licence: str
    files: tuple[File, ...]
    origins: tuple[Origin, ...]
    steps: tuple[StepRecord, ...]


@dataclass(frozen=True)
class AssetStatus:
    """One row of `status`. `size` is in bytes; `detail` says what is wrong, if anything is."""

    name: str
    state: State
    path: Path
    size: int
    licence: str
    about: str
    detail: str


def cache_root() -> Path:
    """The folder of all assets: BUDGETMEM_ASSETS, or `assets` in the user's cache folder."""
    configured = os.environ.get("BUDGETMEM_ASSETS")
    return Path(configured).expanduser() if configured else user_cache_path("budgetmem") / "assets"


def known_asset(name: str, catalogue: Mapping[str, Asset]) -> Asset:
    """The catalogue's entry. Raises NotFound listing the names there are."""
    if name not in catalogue:
        raise NotFound(f"no asset {name!r}: the catalogue has {', '.join(sorted(catalogue))}")
    return catalogue[name]


def asset_dir(
    name: str, *, root: Path | None = None, catalogue: Mapping[str, Asset] | None = None
) -> Path:
    """The folder of an installed asset, checked for presence and sizes only: cheap at start.

    Raises NotFound for a name outside the catalogue and AssetError if files are missing, have
    another size or are of an older catalogue.
    """
    folder = (root or cache_root()) / name
    state, detail = inspect(folder, known_asset(name, catalogue or load_catalogue()))
    if state != "installed":
        raise AssetError(_advice(name, state, detail))
    return folder


def verify(
    name: str, *, root: Path | None = None, catalogue: Mapping[str, Asset] | None = None
) -> None:
    """Reads every file of an installed asset and compares its SHA-256.

    Raises AssetError naming the files that differ, or as `asset_dir` does.
    """
    known = catalogue or load_catalogue()
    folder = asset_dir(name, root=root, catalogue=known)
    wrong = differing_files(folder, known[name])
    if wrong:
        raise AssetError(_advice(name, "damaged", f"sha256 differs: {', '.join(wrong)}"))


def status(
    names: Iterable[str] | None = None,
    *,
    root: Path | None = None,
    catalogue: Mapping[str, Asset] | None = None,
) -> tuple[AssetStatus, ...]:
    """The state of the named assets, or of the whole catalogue, by the checks of `asset_dir`."""
    known = catalogue or load_catalogue()
    folder = root or cache_root()
    return tuple(_status(name, folder / name, known_asset(name, known)) for name in names or known)


def _status(name: str, path: Path, asset: Asset) -> AssetStatus:
    state, detail = inspect(path, asset)
    return AssetStatus(name, state, path, asset.size, asset.licence, asset.about, detail)


def inspect(folder: Path, asset: Asset) -> tuple[State, str]:
    """State of the asset in `folder` by presence, sizes and recipe, and what is wrong with it."""
    if not folder.exists():
        return "missing", "not installed"
    try:
        receipt = read_receipt(folder)
    except (OSError, ValidationError):
        return "damaged", f"{RECEIPT} is missing or unreadable"
    if receipt.recipe != asset.recipe:
        return "outdated", "the catalogue has changed since it was pulled"
    wrong = [file.name for file in receipt.files if _size(folder / file.name) != file.size]
    return ("damaged", f"missing or of another size: {', '.join(wrong)}") if wrong else _FINE


_FINE: tuple[State, str] = ("installed", "")


def differing_files(folder: Path, asset: Asset) -> list[str]:
    """Names of the files whose SHA-256 is not the catalogue's or, after steps, the receipt's."""
    converted = {step.output for step in asset.steps}
    fetched = {f.name: f for d in asset.downloads for f in d.files if f.name not in converted}
    recorded = {file.name: file for file in read_receipt(folder).files}
    expected = {**recorded, **fetched}
    return [name for name, file in expected.items() if sha256_of(folder / name) != file.sha256]


def read_receipt(folder: Path) -> Receipt:
    """Reads `asset.json`. Raises OSError or pydantic's ValidationError."""
    return Receipt.model_validate_json((folder / RECEIPT).read_text(encoding="utf-8"))


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None


def _advice(name: str, state: State, detail: str) -> str:
    return (
        f"asset {name} is {state} ({detail}): run `budgetmem assets pull PROFILE` with your "
        f"profile, or `budgetmem assets pull {name}`"
    )
