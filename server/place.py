"""What is served, and where: options that `budgetmem serve` and `budgetmem doctor` share."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer


@dataclass(frozen=True)
class Place:
    """Options of the command line, under its names."""

    profile: Annotated[
        str, typer.Option(help="A bundled profile (tiny, small, gpu) or a path ending in .toml.")
    ] = "small"
    data_dir: Annotated[
        Path | None,
        typer.Option(
            envvar="BUDGETMEM_DATA_DIR",
            help="Where histories, keys and records are kept.",
            file_okay=False,
        ),
    ] = None
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free port.")] = 50051
    triton_url: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="A Triton of yours, instead of the embedded one."),
    ] = None
    store: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER|URL",
            envvar="BUDGETMEM_STORE",
            help="Where histories are kept instead of DATA_DIR/histories: a folder, or"
            " postgresql://USER@HOST/DATABASE, which several servers may share. Others see what is"
            " on a command line: put the password into PGPASSWORD.",
        ),
    ] = field(default=None, repr=False)
    bundled_routers: Annotated[
        bool, typer.Option(help="Serve the trained routers that come with the profile.")
    ] = True

    @property
    def data_folder(self) -> Path:
        """`data_dir`, or the user's own folder of data."""
        # Imported here, so that `budgetmem --help` stays fast.
        from platformdirs import user_data_path  # noqa: PLC0415

        return self.data_dir or user_data_path("budgetmem")
