"""`budgetmem router`: look at trained routers, check them, have a server read them again."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from budgetmem.commands.grouped import grouped
from budgetmem.commands.remote import (
    AsJson,
    Remote,
    connect,
    print_json,
)
from budgetmem.plain import plain

if TYPE_CHECKING:
    from budgetmem.router_artifact import Artifact, RouterCard

app = typer.Typer(
    name="router",
    help="Trained routers: info, check, reload.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Folder = Annotated[
    Path,
    typer.Argument(metavar="FOLDER", help="A router's folder, or a bundled one: small/capacity."),
]


@app.command()
def info(
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="FOLDER",
            help="A router's folder, or a bundled one: small/capacity. Default: lists those.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what a trained router is for, what it was trained on and how well it did.

    \b
    budgetmem router info
    budgetmem router info small/capacity
    budgetmem router info routers/capacity --json
    """
    from budgetmem.bundled_routers import bundled_routers, router_folder
    from budgetmem.router_artifact import load

    if folder is None:
        _list({name: load(path).card for name, path in bundled_routers().items()}, as_json)
        return
    card = load(router_folder(folder)).card
    if as_json:
        print_json(card.model_dump(mode="json"))
    else:
        _show(card)


@app.command()
def check(
    folder: Folder,
    profile: Annotated[
        str | None, typer.Option("--profile", help="Also whether it fits the models of a profile.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check a trained router as a server does that loads it; fails naming what is wrong.

    \b
    budgetmem router check routers/capacity
    budgetmem router check routers/capacity --profile small && budgetmem router reload capacity
    """
    from budgetmem.bundled_routers import router_folder
    from budgetmem.config import load_profile
    from budgetmem.router_artifact import check_for, load

    artifact = load(router_folder(folder))
    asyncio.run(_try_out(artifact))
    warning = None if profile is None else check_for(artifact, load_profile(profile))
    card = artifact.card
    if as_json:
        print_json({"version": card.version, "strategy": card.strategy, "warning": warning})
        return
    typer.echo(f"{folder}: {card.version} is a sound router of the strategy {card.strategy}")
    if warning:
        typer.echo(f"warning: {warning}", err=True)


@app.command()
@grouped
def reload(
    strategy: Annotated[
        str, typer.Argument(metavar="STRATEGY", help="Whose router. Default: every trained one.")
    ] = "",
    *,
    remote: Remote,
    as_json: AsJson = False,
) -> None:
    """Have a server read its trained routers again, from the folders that it was started with.

    Running requests end with the router that they began with. If a new router is faulty, the old
    ones go on, and the command fails naming what is wrong.

    \b
    budgetmem router reload
    budgetmem router reload capacity --server 127.0.0.1:50051
    """
    with connect(remote) as client:
        routers = client.reload_routers(strategy)
    if as_json:
        print_json(routers)
        return
    from budgetmem.commands.tables import print_rows

    print_rows(
        ("strategy", "old router", "new router"),
        [(router.strategy, router.old_version, router.version) for router in routers],
    )


async def _try_out(artifact: Artifact) -> None:
    from concurrent.futures import ThreadPoolExecutor

    from budgetmem.policy_router import PolicyRouter
    from budgetmem.router_book import try_out

    with ThreadPoolExecutor(1) as executor:
        await try_out(PolicyRouter(artifact, executor=executor), artifact.card)


def _list(cards: Mapping[str, RouterCard], as_json: bool) -> None:
    from budgetmem.commands.tables import print_rows

    if as_json:
        print_json({name: card.version for name, card in cards.items()})
    elif cards:
        print_rows(
            ("name", "router", "cost weight"),
            [
                (name, card.version, f"{card.cost_weight.min:g} to {card.cost_weight.max:g}")
                for name, card in cards.items()
            ],
        )
    else:
        typer.echo("no trained router comes with this installation; name a folder")


def _show(card: RouterCard) -> None:
    from budgetmem.commands.tables import print_rows

    rows: list[tuple[str, object]] = [
        ("version", card.version),
        ("strategy", card.strategy),
        ("trained on profile", card.profile),
        ("encoder", f"{card.encoder.name}, {card.encoder.dimension} numbers"),
        ("encoder's model", f"SHA-256 {card.encoder.sha256}"),
        ("cost weight", f"{card.cost_weight.min:g} to {card.cost_weight.max:g}"),
        ("modules", ", ".join(card.modules)),
        ("features", f"{len(card.features)}: {', '.join(card.features)}"),
        ("licence", card.licence),
        ("ONNX", f"opset {card.opset}, SHA-256 {card.onnx_sha256}"),
    ]
    rows += [(f"training: {name}", plain(value)) for name, value in card.training.items()]
    rows += [(f"metrics: {name}", plain(value)) for name, value in card.metrics.items()]
    print_rows(("", ""), rows)
