"""What `budgetmem demo` can be told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer


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
