"""`budgetmem demo`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from budgetmem.commands.grouped import grouped


@dataclass(frozen=True)
class DemoOptions:
    """Options of the command line, under its names."""

    profile: Annotated[
        str, typer.Option(help="A bundled profile (tiny, small) or a path ending in .toml.")
    ] = "small"
    strategy: Annotated[
        str | None,
        typer.Option(
            help="What the tiers mean. Default: the first that has a trained router, or the first."
        ),
    ] = None
    router: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FOLDER", help="A trained router, as for `budgetmem serve`; may be repeated."
        ),
    ] = None
    cost_weight: Annotated[
        list[float] | None,
        typer.Option(
            metavar="LAMBDA",
            help="What a trained router is asked at; may be repeated. Default: 0, 0.3 and 0.9.",
        ),
    ] = None
    questions: Annotated[
        int, typer.Option(min=1, max=20, help="How many of the 20 questions to ask.")
    ] = 3
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Also write everything there, as JSON.", dir_okay=False),
    ] = None
    pull: Annotated[
        bool, typer.Option(help="Download what the profile lacks (tiny 0.2 GB, small 1.7 GB).")
    ] = True


@grouped
def demo(options: DemoOptions) -> None:
    """Show the main job, end to end: serve, ingest a conversation, ask within budgets.

    Everything is real: a server of its own, its LLM backbones on a Triton that it starts (needs the
    extra `embedded`), a store in a temporary folder. Questions are asked with every module pinned
    to Low, Mid and High; where the profile has a trained router, the first question only, and all
    of them at some cost weights (lambda), by which the router chooses.

    \b
    budgetmem demo --profile tiny
    budgetmem demo --questions 5 --cost-weight 0 --cost-weight 2 --output demo.json
    """
    # Imported here, so that `budgetmem --help` stays fast.
    from server.demo.running import run  # noqa: PLC0415

    run(options)
