"""`budgetmem assets`: pull, list, verify and find model files."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from budgetmem import assets
from budgetmem.config import bundled_profiles, load_profile
from budgetmem.errors import AssetError, NotFound

app = typer.Typer(
    name="assets", help="Model weights: pull, list, verify, find.", no_args_is_help=True
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, and no progress.")]


@app.command()
def pull(
    targets: Annotated[
        list[str], typer.Argument(metavar="PROFILE_OR_ASSET...", help="What to make present.")
    ],
    as_json: AsJson = False,
    no_hub: Annotated[
        bool, typer.Option("--no-hub", envvar="BUDGETMEM_NO_HUB", help="Do not ask model hubs.")
    ] = False,
) -> None:
    """Download, verify and convert; what is already whole is left alone."""
    progress = assets.progress_for(quiet=as_json)
    folders = assets.pull(_names(targets), progress=progress, hub=not no_hub)
    if as_json:
        typer.echo(json.dumps({name: str(folder) for name, folder in folders.items()}, indent=2))
        return
    for name, folder in folders.items():
        typer.echo(f"{name}\t{folder}")


@app.command("list")
def list_assets(as_json: AsJson = False) -> None:
    """Every asset of the catalogue and whether it is installed."""
    rows = assets.status()
    if as_json:
        typer.echo(json.dumps([asdict(row) for row in rows], default=str, indent=2))
        return
    table = Table("name", "state", "MB", "licence", "about", box=None)
    for row in rows:
        table.add_row(row.name, row.state, f"{row.size / 1e6:.0f}", row.licence, row.about)
    Console().print(table)


@app.command()
def verify(
    targets: Annotated[
        list[str] | None,
        typer.Argument(metavar="PROFILE_OR_ASSET...", help="Default: all that is not missing."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Read every file and compare its SHA-256; fails if one differs."""
    present = [row.name for row in assets.status() if row.state != "missing"]
    faults = {name: _fault(name) for name in (_names(targets) if targets else present)}
    if as_json:
        typer.echo(json.dumps(faults, indent=2))
    else:
        for name, fault in faults.items():
            typer.echo(f"{name}: {fault or 'ok'}")
    if any(faults.values()):
        raise typer.Exit(1)


@app.command()
def path(
    name: Annotated[str, typer.Argument(help="An asset of the catalogue.")], as_json: AsJson = False
) -> None:
    """Print the folder of an installed asset."""
    folder = assets.asset_dir(name)
    typer.echo(json.dumps({"name": name, "path": str(folder)}) if as_json else str(folder))


def _fault(name: str) -> str | None:
    try:
        assets.verify(name)
    except AssetError as exc:
        return str(exc)
    return None


def _names(targets: list[str]) -> list[str]:
    catalogue, profiles = assets.load_catalogue(), bundled_profiles()
    names: list[str] = []
    for target in targets:
        if target in catalogue:
            names.append(target)
        elif target in profiles or target.endswith(".toml"):
            names.extend(load_profile(target).assets)
        else:
            raise NotFound(
                f"{target!r} is no profile ({', '.join(profiles)}, or a path ending in .toml) "
                f"and no asset ({', '.join(sorted(catalogue))})"
            )
    return list(dict.fromkeys(names))
