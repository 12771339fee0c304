"""What `budgetmem serve` is told about security, and whether it can work."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from budgetmem.errors import ConfigError
from budgetmem.hosts import is_loopback

KEYS_FILE = "keys.json"
"""In the folder of the server's data."""


@dataclass(frozen=True)
class TlsFiles:
    """PEM files: the certificate with its chain, its private key, and who signs clients'."""

    cert: Path
    key: Path
    client_ca: Path | None = None


@dataclass(frozen=True)
class Claims:
    """What tokens must say. An audience or issuer of None is not looked at.

    `tenant` and `scope` are names of claims. Scopes are words with spaces between them, as in
    OAuth 2, or a list of words; those that are not ours are passed over.
    """

    audience: str | None = None
    issuer: str | None = None
    tenant: str = "tenant"
    scope: str = "scope"


@dataclass(frozen=True)
class SecurityOptions:
    """Options of the command line, under its names."""

    auth: Annotated[
        bool | None,
        typer.Option(
            "--auth/--no-auth",
            help="Ask for credentials. Default: if there is a file of API keys, or --jwt-key.",
            show_default=False,
        ),
    ] = None
    keys_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            dir_okay=False,
            help=f"API keys (budgetmem keys). Default: {KEYS_FILE} in the data folder.",
        ),
    ] = None
    jwt_key: Annotated[
        str | None,
        typer.Option(
            metavar="FILE_OR_URL",
            help="Take JSON Web Tokens that verify with it: a public key (PEM), a secret (HS256), "
            "or a JSON Web Key Set.",
        ),
    ] = None
    jwt_issuer: Annotated[
        str | None, typer.Option(metavar="TEXT", help="The `iss` that tokens must have.")
    ] = None
    jwt_audience: Annotated[
        str | None, typer.Option(metavar="TEXT", help="The `aud` that tokens must have.")
    ] = None
    jwt_tenant_claim: Annotated[
        str, typer.Option(metavar="NAME", help="The claim that names the tenant.")
    ] = Claims.tenant
    jwt_scope_claim: Annotated[
        str, typer.Option(metavar="NAME", help="The claim of scopes: read, write, admin.")
    ] = Claims.scope
    tls_cert: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Speak TLS: the certificate with its chain (PEM)."),
    ] = None
    tls_key: Annotated[Path | None, typer.Option(metavar="FILE", help="Its private key (PEM).")] = (
        None
    )
    tls_client_ca: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Let in only clients with a certificate of this authority (PEM): mutual TLS.",
        ),
    ] = None
    insecure: Annotated[
        bool,
        typer.Option(
            "--insecure", help="Let other machines in without TLS, or without credentials."
        ),
    ] = False
    reflection: Annotated[
        bool | None,
        typer.Option(
            help="Tell anybody what the services are. Default: if no credentials are asked for.",
            show_default=False,
        ),
    ] = None

    @property
    def tls(self) -> TlsFiles | None:
        """The files of TLS, if it is wanted. Raises ConfigError where one is missing."""
        if self.tls_cert is None or self.tls_key is None:
            if any((self.tls_cert, self.tls_key, self.tls_client_ca)):
                raise ConfigError("TLS needs a certificate and its key: --tls-cert and --tls-key")
            return None
        return TlsFiles(self.tls_cert, self.tls_key, self.tls_client_ca)

    @property
    def claims(self) -> Claims:
        """What tokens must say."""
        return Claims(
            self.jwt_audience, self.jwt_issuer, self.jwt_tenant_claim, self.jwt_scope_claim
        )

    def keys_path(self, data_dir: Path) -> Path:
        """Where API keys are, or would be."""
        return self.keys_file or data_dir / KEYS_FILE

    def authenticates(self, data_dir: Path) -> bool:
        """Whether credentials are asked for. Raises ConfigError for options that contradict."""
        named = self.keys_file is not None or self.jwt_key is not None
        if self.auth is False and named:
            raise ConfigError("--no-auth contradicts --keys-file and --jwt-key: leave one out")
        if self.jwt_key is None and self.claims != Claims():
            raise ConfigError("options of tokens need the key that they verify with: --jwt-key")
        if self.auth is not None:
            return self.auth
        return named or self.keys_path(data_dir).exists()

    def check_reach(self, host: str, *, authenticates: bool) -> None:
        """Raises ConfigError for a server that other machines could use or overhear."""
        missing = [
            what
            for what, there in (
                ("ask for credentials (budgetmem keys create, or --jwt-key)", authenticates),
                ("speak TLS (--tls-cert, --tls-key)", self.tls is not None),
            )
            if not there
        ]
        if missing and not self.insecure and not is_loopback(host):
            raise ConfigError(
                f"other machines can reach {host}: {' and '.join(missing)}; or give --insecure, if "
                "something before the server sees to it"
            )
