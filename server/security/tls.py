"""The server's certificate: checked, and read again when its files change."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import grpc
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from budgetmem.errors import ConfigError
from server.security.api_keys import utc_now
from server.security.options import TlsFiles
from server.security.watched import Watched


@dataclass(frozen=True)
class Material:
    """What the files hold, checked."""

    cert: bytes
    key: bytes
    client_ca: bytes | None

    def configuration(self) -> grpc.ServerCertificateConfiguration:
        """For gRPC, which takes each of them once."""
        return grpc.ssl_server_certificate_configuration([(self.key, self.cert)], self.client_ca)


def server_credentials(
    files: TlsFiles,
    *,
    now: Callable[[], datetime] = utc_now,
    clock: Callable[[], float] = time.monotonic,
) -> grpc.ServerCredentials:
    """Credentials that new connections get from the files as they are by then.

    With `client_ca`, clients without a certificate of that authority are not let in. Raises
    ConfigError for files that cannot work: missing, malformed, expired, not made for each other.
    Files that later come to be so leave the old ones in place (`Watched`, whose clock `clock` is).
    """
    paths = [path for path in (files.cert, files.key, files.client_ca) if path is not None]
    watched = Watched(paths, lambda: load(files, now()), clock=clock)
    served = watched.value

    def changed() -> grpc.ServerCertificateConfiguration | None:
        nonlocal served
        material = watched.value
        if material is served:
            return None
        served = material
        return material.configuration()

    # Its stubs do not know of None, which leaves things as they are.
    fetcher: Any = changed
    return grpc.dynamic_ssl_server_credentials(
        served.configuration(), fetcher, require_client_authentication=files.client_ca is not None
    )


def load(files: TlsFiles, now: datetime) -> Material:
    """The files' content. Raises ConfigError saying which one cannot work, and why."""
    cert, key = _read(files.cert), _read(files.key)
    certificate = _certificates(files.cert, cert)[0]
    _check_time(files.cert, certificate, now)
    if _public_key(certificate) != _public_key_of_private(files.key, key):
        raise ConfigError(f"{files.key} is not the private key of the certificate {files.cert}")
    client_ca = None
    if files.client_ca is not None:
        client_ca = _read(files.client_ca)
        # Of several, the last to expire: one that is being replaced may stay beside its successor.
        authorities = _certificates(files.client_ca, client_ca)
        _check_time(files.client_ca, max(authorities, key=lambda c: c.not_valid_after_utc), now)
    return Material(cert, key, client_ca)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise ConfigError(f"cannot read {path}: {exc.strerror}") from exc


def _certificates(path: Path, content: bytes) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(content)
    except ValueError as exc:
        raise ConfigError(f"{path} is not a certificate in PEM") from exc


def _check_time(path: Path, certificate: x509.Certificate, now: datetime) -> None:
    if certificate.not_valid_after_utc <= now:
        raise ConfigError(
            f"{path}: expired on {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
        )
    if certificate.not_valid_before_utc > now:
        raise ConfigError(
            f"{path}: is valid only from {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC on"
        )


def _public_key(certificate: x509.Certificate) -> bytes:
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _public_key_of_private(path: Path, content: bytes) -> bytes:
    try:
        key = load_pem_private_key(content, password=None)
    except TypeError as exc:
        raise ConfigError(f"{path} is encrypted: give the key without its password") from exc
    except (ValueError, UnsupportedAlgorithm) as exc:
        raise ConfigError(f"{path} is not a private key in PEM") from exc
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
