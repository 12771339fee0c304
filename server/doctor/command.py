"""`budgetmem doctor`."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from budgetmem.commands.grouped import grouped
from server.place import Place

SIGNS = {"ok": "  ok  ", "warn": " warn ", "fail": " FAIL "}


@grouped
def doctor(
    place: Place,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Look whether this machine can serve a profile, and say what to do where it cannot.

    Changes nothing and starts nothing. Exits with 1 if something is in the way.

    \b
    budgetmem doctor
    budgetmem doctor --profile gpu --triton-url triton:8001 --json
    budgetmem doctor --store postgresql://budgetmem@db.example.com/budgetmem
    """
    # Imported here, so that `budgetmem --help` stays fast.
    from budgetmem.config import load_profile
    from server.doctor.checks import examine
    from server.doctor.findings import Level, Wanted

    wanted = Wanted(
        load_profile(place.profile),
        place.data_folder,
        place.host,
        place.port,
        triton_url=place.triton_url,
        bundle=place.profile if place.bundled_routers else None,
        store=place.store,
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
