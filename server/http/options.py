"""What `budgetmem serve` is told about HTTP."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

import typer

from budgetmem.errors import ConfigError

ANY = "*"
ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(\[[0-9a-f:]+\]|[a-z0-9._-]+)(:[0-9]+)?")
OWN_PORT = re.compile(r"http:.*:80|https:.*:443")
CONSOLE_PORT = 8080


@dataclass(frozen=True)
class HttpOptions:
    """Options of the command line, under its names."""

    http_port: Annotated[
        int | None,
        typer.Option(
            envvar="BUDGETMEM_HTTP_PORT",
            min=0,
            max=65535,
            help="Answer there over HTTP and JSON too; 0: any free port. Default: nowhere.",
        ),
    ] = None
    http_host: Annotated[
        str, typer.Option(envvar="BUDGETMEM_HTTP_HOST", help="Address to listen on for HTTP.")
    ] = "127.0.0.1"
    http_cors_origin: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ORIGIN",
            help="A site, such as https://example.com, whose pages may call over HTTP; may be "
            "repeated.",
        ),
    ] = None

    console: Annotated[
        bool,
        typer.Option(
            "--console",
            help="Serve a page for people at / over HTTP; on port "
            f"{CONSOLE_PORT}, if --http-port names none.",
        ),
    ] = False

    @property
    def port(self) -> int | None:
        """The port of HTTP; None if it is not wanted."""
        return CONSOLE_PORT if self.console and self.http_port is None else self.http_port

    @property
    def cors_origins(self) -> tuple[str, ...]:
        """The sites whose pages may call."""
        return tuple(self.http_cors_origin or ())

    def check_origins(self, *, authenticates: bool) -> None:
        """Raises ConfigError for a server that any page in a browser of its owner could use, and
        for an origin that no browser sends: they are compared letter by letter."""
        if ANY in self.cors_origins and not authenticates:
            raise ConfigError(
                "--http-cors-origin '*' lets every page read what a server keeps that asks for no "
                "credentials: name the origins, or make keys (budgetmem keys create)"
            )
        for origin in self.cors_origins:
            if origin != ANY and (not ORIGIN.fullmatch(origin) or OWN_PORT.fullmatch(origin)):
                raise ConfigError(
                    f"--http-cors-origin {origin!r} is no origin as browsers send it: scheme, host "
                    "and, if it is not the scheme's own, port; in small letters and without a "
                    "slash at the end, such as https://example.com"
                )
