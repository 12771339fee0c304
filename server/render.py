"""Writes the Triton model repository of a profile: `budgetmem models render`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from budgetmem.assets import asset_dir
from budgetmem.config import BackboneProfile, Profile, load_profile
from budgetmem.errors import ConfigError
from server.model_config import (
    Value,
    onnxruntime_config,
    python_config,
    read_config,
    vllm_config,
    vllm_engine,
    write_config,
)

CONFIG = "config.pbtxt"
VLLM_FILE = "model.json"
VERSION = "1"
ONNX_FILE = "model.onnx"
VERSION_FILES = ("model.py", VLLM_FILE, ONNX_FILE, "__pycache__")
"""What a version's folder may hold; the last is Python's, beside Triton's own."""

UNTESTED = "its config was checked against Triton's protobuf, but it has not been run on a GPU"

app = typer.Typer(no_args_is_help=True, help="The models of a profile as Triton serves them.")


@dataclass(frozen=True)
class RenderedModel:
    """One model folder that was written; `note` says what its user should know."""

    name: str
    backend: str
    path: Path
    note: str = ""


def render(
    profile: Profile, out_dir: Path, asset_folder: Callable[[str], Path] = asset_dir
) -> tuple[RenderedModel, ...]:
    """Writes a model repository for `profile` into `out_dir`, which is made if need be.

    Endpoints have no place in it. Raises ConfigError where a model has none, AssetError where an
    asset that is copied into it is not installed.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    written = [_render_backbone(entry, out_dir) for entry in _distinct_backbones(profile)]
    written.append(_render_encoder(profile, out_dir, asset_folder))
    tagger = profile.tagger
    parameters: dict[str, Value] = {"asset": tagger.asset}
    written.append(_render_python(tagger.triton_model, parameters, tagger.instances, (), out_dir))
    return tuple(written)


def bundled_repository() -> Path:
    """The bundled models: beside the source tree, or inside the installed package."""
    package = Path(__file__).parent
    for folder in (package.parent / "model_repository", package / "model_repository"):
        if folder.is_dir():
            return folder
    raise ConfigError(f"this installation lacks its model_repository (looked beside {package})")


def _distinct_backbones(profile: Profile) -> list[BackboneProfile]:
    """Backbones by Triton model: two keys may share one, but then must mean the same model."""
    models: dict[str, tuple[str, BackboneProfile]] = {}
    for key, entry in profile.on_triton.items():
        first_key, first = models.setdefault(entry.triton_model, (key, entry))
        if _served(first) != _served(entry):
            raise ConfigError(
                f"backbones {first_key!r} and {key!r} share the Triton model "
                f"{entry.triton_model!r} but differ in engine, weights, options or instances"
            )
    return [entry for _, entry in models.values()]


def _served(entry: BackboneProfile) -> dict[str, Any]:
    fields = {"engine", "asset", "hub", "context", "engine_options", "instances", "gpus"}
    return entry.model_dump(include=fields)


def _render_backbone(entry: BackboneProfile, out_dir: Path) -> RenderedModel:
    if entry.engine == "tensorrtllm":
        raise ConfigError(
            f"{entry.triton_model}: TensorRT-LLM's models are made by NVIDIA's own tools, for one "
            "kind of GPU: serve it by a Triton of yours, and name that by --triton-url"
        )
    if entry.engine == "vllm":
        return _render_vllm(entry, out_dir)
    parameters = {
        "engine": entry.engine,
        "asset": entry.asset or "",
        "max_model_len": entry.context,
        **entry.engine_options,
    }
    return _render_python(entry.triton_model, parameters, entry.instances, entry.gpus, out_dir)


def _render_vllm(entry: BackboneProfile, out_dir: Path) -> RenderedModel:
    folder = _new_model(out_dir / entry.triton_model)
    write_config(vllm_config(entry), folder / CONFIG)
    engine = json.dumps(vllm_engine(entry), indent=4)
    (folder / VERSION / VLLM_FILE).write_text(engine + "\n", encoding="utf-8")
    return RenderedModel(entry.triton_model, "vllm", folder, UNTESTED)


def _render_encoder(
    profile: Profile, out_dir: Path, asset_folder: Callable[[str], Path]
) -> RenderedModel:
    entry = profile.encoder
    if entry.platform == "python":
        parameters: dict[str, Value] = {"asset": entry.asset}
        return _render_python(entry.triton_model, parameters, entry.instances, entry.gpus, out_dir)
    weights = asset_folder(entry.asset) / ONNX_FILE
    folder = _new_model(out_dir / entry.triton_model)
    bundled = read_config(bundled_repository() / "encoder" / CONFIG)
    write_config(onnxruntime_config(entry, bundled), folder / CONFIG)
    shutil.copyfile(weights, folder / VERSION / ONNX_FILE)
    return RenderedModel(entry.triton_model, "onnxruntime", folder, UNTESTED)


def _render_python(
    name: str,
    parameters: Mapping[str, Value],
    instances: int,
    gpus: tuple[int, ...],
    out_dir: Path,
) -> RenderedModel:
    source = bundled_repository() / name
    if not (source / CONFIG).is_file():
        known = ", ".join(sorted(p.name for p in source.parent.iterdir() if p.is_dir()))
        raise ConfigError(f"no bundled Triton model {name!r}: there are {known}")
    folder = out_dir / name
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("__pycache__"))
    config = python_config(read_config(source / CONFIG), parameters, instances, gpus)
    write_config(config, folder / CONFIG)
    return RenderedModel(name, "python", folder, UNTESTED if gpus else "")


def _new_model(folder: Path) -> Path:
    (folder / VERSION).mkdir(parents=True)
    return folder


@app.callback()
def models() -> None:
    """The models of a profile as Triton serves them."""


@app.command("render")
def render_command(
    out: Annotated[Path, typer.Option(help="Folder for the model repository.")],
    profile: Annotated[str, typer.Option(help="A bundled profile's name, or a TOML file.")],
    force: Annotated[bool, typer.Option(help="Replace what is in the folder.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write the Triton model repository of a profile."""
    chosen = load_profile(profile)
    _make_room(out, force)
    written = render(chosen, out)
    if as_json:
        rows = [{**asdict(model), "path": str(model.path)} for model in written]
        typer.echo(json.dumps({"profile": chosen.name, "models": rows}, indent=2))
        return
    for model in written:
        typer.echo(f"{model.path} ({model.backend})")
    for model in written:
        if model.note:
            typer.echo(f"note: {model.name}: {model.note}")


def _make_room(out: Path, force: bool) -> None:
    """Empties `out` of model folders with `force`; without, refuses a folder that has anything."""
    if out.exists() and not out.is_dir():
        raise ConfigError(f"{out} is not a folder")
    if not out.is_dir() or not any(out.iterdir()):
        return
    if not force:
        raise ConfigError(f"{out} is not empty: choose another folder, or replace it with --force")
    foreign = [p.name for p in out.iterdir() if not _is_model(p)]
    if foreign:
        raise ConfigError(
            f"{out} holds {', '.join(sorted(foreign))}, no Triton models: remove them yourself"
        )
    for model in out.iterdir():
        shutil.rmtree(model)


def _is_model(folder: Path) -> bool:
    """Whether it is a model's folder, or what was left of one where a run was cut off."""
    if (folder / CONFIG).is_file():
        return True
    version = folder / VERSION
    parts = {*folder.glob("*"), *version.glob("*")}
    return folder.is_dir() and parts <= {version, *(version / name for name in VERSION_FILES)}
