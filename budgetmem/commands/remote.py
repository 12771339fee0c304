"""What the commands that talk to a server share: options, connection, JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from budgetmem.commands.terminal import JSON_ESCAPES
from budgetmem.plain import plain

if TYPE_CHECKING:
    from budgetmem.client import AsyncClient, Client

AnyClient = TypeVar("AnyClient", "Client", "AsyncClient")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
HistoryName = Annotated[str, typer.Argument(metavar="HISTORY", help="Name of the history.")]


@dataclass(frozen=True)
class Remote:
    """Which server, on whose behalf, and how it is reached."""

    server: Annotated[
        str,
        typer.Option(
            "--server", metavar="HOST:PORT", envvar="BUDGETMEM_SERVER", help="Where the server is."
        ),
    ] = "127.0.0.1:50051"
    tenant: Annotated[
        str | None,
        typer.Option(
            "--tenant",
            envvar="BUDGETMEM_TENANT",
            help="Whose histories, on a server that asks for no credential.",
        ),
    ] = None
    timeout: Annotated[
        float | None, typer.Option("--timeout", metavar="SECONDS", help="Give up after so long.")
    ] = None
    api_key: Annotated[
        str | None,
        typer.Option(
            "--api-key",
            envvar="BUDGETMEM_API_KEY",
            help="An API key or a JWT. Others see what is on a command line: set the variable.",
        ),
    ] = None
    tls: Annotated[
        bool,
        typer.Option(
            "--tls", envvar="BUDGETMEM_TLS", help="Speak TLS; the options below mean it too."
        ),
    ] = False
    ca_cert: Annotated[
        Path | None,
        typer.Option(
            "--ca-cert",
            metavar="FILE",
            envvar="BUDGETMEM_CA_CERT",
            help="Who signs the server's certificate (PEM), instead of the well-known ones.",
        ),
    ] = None
    client_cert: Annotated[
        Path | None,
        typer.Option(
            "--client-cert",
            metavar="FILE",
            envvar="BUDGETMEM_CLIENT_CERT",
            help="The client's certificate (PEM), for a server that asks for one.",
        ),
    ] = None
    client_key: Annotated[
        Path | None,
        typer.Option(
            "--client-key",
            metavar="FILE",
            envvar="BUDGETMEM_CLIENT_KEY",
            help="Its private key (PEM).",
        ),
    ] = None

    @property
    def secure(self) -> bool:
        """Whether the connection is TLS."""
        return self.tls or any((self.ca_cert, self.client_cert, self.client_key))


def connect(remote: Remote) -> Client:
    """A client; gRPC is imported here and not before."""
    from budgetmem.client import Client

    return _connected(Client, remote)


def connect_async(remote: Remote) -> AsyncClient:
    """A client for the running event loop."""
    from budgetmem.client import AsyncClient

    return _connected(AsyncClient, remote)


def _connected(client: type[AnyClient], remote: Remote) -> AnyClient:
    from budgetmem.client import tls

    credentials = (
        tls(remote.ca_cert, remote.client_cert, remote.client_key) if remote.secure else None
    )
    return client(
        remote.server,
        tenant=remote.tenant,
        timeout_s=remote.timeout,
        credentials=credentials,
        api_key=remote.api_key,
    )


def print_json(value: object) -> None:
    """One line of JSON on stdout."""
    typer.echo(json.dumps(plain(value), ensure_ascii=False).translate(JSON_ESCAPES))
