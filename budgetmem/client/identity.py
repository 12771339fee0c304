"""Who a client is, and what keeps its connection private."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import grpc

from budgetmem.errors import ConfigError, InvalidInput
from budgetmem.hosts import stays_here
from budgetmem.wire.requests import AUTHORIZATION_KEY, TENANT_KEY

ApiKey: TypeAlias = "str | Callable[[], str]"
"""An API key or a JWT, or what returns the one that is valid now: it is asked before every call."""

Metadata: TypeAlias = tuple[tuple[str, str], ...]
PEM = b"-----BEGIN "


@dataclass(frozen=True)
class Identity:
    """On whose behalf calls are made. The key is in no representation of it."""

    tenant: str | None = None
    api_key: ApiKey | None = field(default=None, repr=False)

    def metadata(self) -> Metadata:
        """The headers of a call.

        Raises InvalidInput for a tenant, and ConfigError for a key, that cannot be a header.
        """
        headers: list[tuple[str, str]] = []
        if self.tenant is not None:
            if not _is_header(self.tenant):
                raise InvalidInput("tenant", f"{self.tenant!r} must be printable ASCII")
            headers.append((TENANT_KEY, self.tenant))
        if self.api_key is not None:
            key = self.api_key if isinstance(self.api_key, str) else self.api_key()
            # Checked here, because gRPC's own complaint would show the key.
            if not key or not _is_header(key) or " " in key:
                raise ConfigError("the API key is empty, or has characters that no key has")
            headers.append((AUTHORIZATION_KEY, f"Bearer {key}"))
        return tuple(headers)


def check_private(server: str, identity: Identity, *, secure: bool) -> None:
    """Raises ConfigError where a key would travel to another machine for all to read."""
    if identity.api_key is not None and not secure and not stays_here(server):
        raise ConfigError(
            f"the API key would go to {server} unencrypted: use TLS (`credentials=tls()`, on the "
            "command line --tls or --ca-cert), or leave the key out"
        )


def tls(
    ca_cert: Path | None = None, client_cert: Path | None = None, client_key: Path | None = None
) -> grpc.ChannelCredentials:
    """A TLS connection, from PEM files: `Client(server, credentials=tls(Path("ca.pem")))`.

    `ca_cert` says who signs the server's certificate, instead of the well-known authorities;
    `client_cert` and `client_key` are for a server that asks for a certificate. Raises ConfigError
    for a file that is not there or not PEM, and for a certificate without its key.
    """
    if (client_cert is None) != (client_key is None):
        raise ConfigError("a client's certificate and its private key go together: give both")
    return grpc.ssl_channel_credentials(
        root_certificates=_pem(ca_cert),
        private_key=_pem(client_key),
        certificate_chain=_pem(client_cert),
    )


def _pem(path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        content = path.read_bytes()
    except OSError as exc:
        raise ConfigError(f"cannot read {path}: {exc.strerror}") from exc
    if PEM not in content:
        raise ConfigError(f"{path} is not a PEM file")
    return content


def _is_header(text: str) -> bool:
    return text.isascii() and text.isprintable()
