"""`budgetmem keys`: make, list and revoke API keys."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from budgetmem.errors import InvalidInput, NotFound
from server.security.options import KEYS_FILE
from server.security.principal import Scope

if TYPE_CHECKING:
    from server.security.key_file import KeyRecord, Keys

app = typer.Typer(
    name="keys",
    help="API keys of a server: create, list, revoke.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        envvar="BUDGETMEM_DATA_DIR",
        help=f"The server's folder; its keys are in {KEYS_FILE}.",
        file_okay=False,
    ),
]
KeysFile = Annotated[
    Path | None,
    typer.Option("--keys-file", metavar="FILE", help="Another file of keys.", dir_okay=False),
]
LONGEST_DAYS = 36_500
"""Of a key's life."""

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


@app.command()
def create(
    tenant: Annotated[str, typer.Option("--tenant", help="Whose histories the key opens.")],
    scopes: Annotated[
        list[Scope] | None,
        typer.Option("--scope", help="What it allows; repeat it. Default: read and write."),
    ] = None,
    days: Annotated[
        float | None, typer.Option("--days", help="How long it is valid. Default: for ever.")
    ] = None,
    note: Annotated[str, typer.Option("--note", help="A word for the list.")] = "",
    data_dir: DataDir = None,
    keys_file: KeysFile = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and show it, this once: only its hash is kept.

    \b
    budgetmem keys create --tenant acme
    budgetmem keys create --tenant acme --scope read --days 30 --note dashboard
    budgetmem keys create --tenant operations --scope admin
    """
    from server.security.api_keys import new_key, utc_now
    from server.security.key_file import change_keys

    check_tenant(tenant)
    now = utc_now()
    expires = None if days is None else now + _life(days)
    key, record = new_key(tenant, scopes or [Scope.READ, Scope.WRITE], now, expires, note)
    change_keys(key_path(data_dir, keys_file), lambda keys: (*keys, record))
    if as_json:
        typer.echo(json.dumps({"key": key, **_shown(record, now)}))
        return
    typer.echo(key)
    typer.echo(
        "Keep it: it is not shown again. A server that was started before there were any keys has "
        "to be started anew; any other takes it within a second.",
        err=True,
    )


def _life(days: float) -> timedelta:
    # As it is written so that no number passes that is none (nan).
    if not 0 <= days <= LONGEST_DAYS:
        raise InvalidInput("--days", f"must be from 0 to {LONGEST_DAYS}; leave it out for ever")
    return timedelta(days=days)


@app.command("list")
def list_keys(
    data_dir: DataDir = None, keys_file: KeysFile = None, as_json: AsJson = False
) -> None:
    """Show every key's id, tenant, scopes and state, and never a key."""
    from server.security.api_keys import utc_now
    from server.security.key_file import read_keys

    now = utc_now()
    keys = read_keys(key_path(data_dir, keys_file), anyones=True)
    if as_json:
        typer.echo(json.dumps([_shown(record, now) for record in keys]))
        return
    from budgetmem.commands.tables import print_rows

    print_rows(
        ("id", "tenant", "scopes", "state", "created", "expires", "note"),
        [
            (
                record.id,
                record.tenant,
                " ".join(scope.value for scope in record.scopes),
                record.state(now),
                record.created.date().isoformat(),
                "never" if record.expires is None else record.expires.date().isoformat(),
                record.note,
            )
            for record in keys
        ],
    )


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="As `budgetmem keys list` shows it.")],
    data_dir: DataDir = None,
    keys_file: KeysFile = None,
    as_json: AsJson = False,
) -> None:
    """Make a key invalid for ever; running servers refuse it within a second.

    \b
    budgetmem keys revoke 8c21d5e07a44
    """
    from server.security.api_keys import utc_now
    from server.security.key_file import change_keys

    now = utc_now()
    keys = change_keys(key_path(data_dir, keys_file), lambda keys: _revoked(keys, key_id, now))
    record = next(each for each in keys if each.id == key_id)
    typer.echo(json.dumps(_shown(record, now)) if as_json else f"key {key_id} is revoked")


def key_path(data_dir: Path | None, keys_file: Path | None) -> Path:
    """The file of keys that is meant."""
    from platformdirs import user_data_path

    return keys_file or (data_dir or user_data_path("budgetmem")) / KEYS_FILE


def check_tenant(tenant: str) -> None:
    """Raises InvalidInput for a name that no tenant can have."""
    from budgetmem.store.paths import encode

    encode(tenant, "tenant")
    if not tenant.strip():
        raise InvalidInput("tenant", "must not be empty")


def _revoked(keys: Keys, key_id: str, now: datetime) -> Keys:
    if key_id not in {record.id for record in keys}:
        raise NotFound(f"no key has the id {key_id!r}: `budgetmem keys list` shows them")
    return tuple(
        record.model_copy(update={"revoked": record.revoked or now})
        if record.id == key_id
        else record
        for record in keys
    )


def _shown(record: KeyRecord, now: datetime) -> dict[str, object]:
    shown: dict[str, object] = record.model_dump(mode="json", exclude={"sha256"})
    return {**shown, "state": record.state(now)}
