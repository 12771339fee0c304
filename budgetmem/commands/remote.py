"""What the commands that talk to a server share: options, connection, JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from budgetmem.tiers import Tier

if TYPE_CHECKING:
    from budgetmem.client import Client

Server = Annotated[
    str,
    typer.Option(
        "--server", metavar="HOST:PORT", envvar="BUDGETMEM_SERVER", help="Where the server is."
    ),
]
Tenant = Annotated[
    str, typer.Option("--tenant", envvar="BUDGETMEM_TENANT", help="Whose histories.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Timeout = Annotated[
    float | None, typer.Option("--timeout", metavar="SECONDS", help="Give up after so long.")
]
HistoryName = Annotated[str, typer.Argument(metavar="HISTORY", help="Name of the history.")]

SERVER = "127.0.0.1:50051"
TENANT = "default"


def connect(server: str, tenant: str, timeout_s: float | None = None) -> Client:
    """A client; gRPC is imported here and not before."""
    from budgetmem.client import Client

    return Client(server, tenant=tenant, timeout_s=timeout_s)


def print_json(value: object) -> None:
    """One line of JSON on stdout."""
    typer.echo(json.dumps(plain(value), ensure_ascii=False))


def plain(value: Any) -> Any:  # noqa: ANN401  (any value in, any JSON value out)
    """Dataclasses to objects, tiers to low, mid and high, times to ISO 8601."""
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Tier):
        return value.label
    if isinstance(value, Mapping):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    return value
