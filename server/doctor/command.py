"""`budgetmem doctor`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

SIGNS = {"ok": "  ok  ", "warn": " warn ", "fail": " FAIL "}


def doctor(
    profile: Annotated[
        str, typer.Option(help="The profile to be served: tiny, small, gpu or a path to .toml.")
    ] = "small",
    data_dir: Annotated[
        Path | None,
        typer.Option(
            envvar="BUDGETMEM_DATA_DIR", help="Where histories are to be kept.", file_okay=False
        ),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on.")] = 50051,
    triton_url: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="A Triton of yours, instead of the embedded one."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Look whether this machine can serve a profile, and say what to do where it cannot.

    Changes nothing and starts nothing. Exits with 1 if something is in the way.

    \b
    budgetmem doctor
    budgetmem doctor --profile gpu --triton-url triton:8001 --json
    """
    # Imported here, so that `budgetmem --help` stays fast.
    from platformdirs import user_data_path

    from budgetmem.config import load_profile
    from server.doctor.checks import Level, Wanted, examine

    wanted = Wanted(
        load_profile(profile), data_dir or user_data_path("budgetmem"), host, port, triton_url
    )
    findings = examine(wanted)
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        for finding in findings:
            typer.echo(f"[{SIGNS[finding.level.value]}] {finding.check}: {finding.found}")
            if finding.advice:
                typer.echo(f"         {finding.advice}")
    if any(finding.level is Level.FAIL for finding in findings):
        raise typer.Exit(1)
