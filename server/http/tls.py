"""The server's certificate for HTTP: the same files as for gRPC, and read again as they are."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from budgetmem.errors import ConfigError
from server.security.api_keys import utc_now
from server.security.options import TlsFiles
from server.security.tls import load
from server.security.watched import Watched


def tls_context(
    files: TlsFiles,
    *,
    now: Callable[[], datetime] = utc_now,
    clock: Callable[[], float] = time.monotonic,
) -> ssl.SSLContext:
    """A context whose new connections get the files as they are by then.

    With `client_ca`, clients without a certificate of that authority are not let in. Raises
    ConfigError as `server.security.tls.load` does; files that later come to be so leave the old
    ones in place.
    """
    paths = [path for path in (files.cert, files.key, files.client_ca) if path is not None]
    watched = Watched(paths, lambda: _context(files, now()), clock=clock)

    def chosen(connection: ssl.SSLObject, _name: str | None, _first: ssl.SSLContext) -> None:
        connection.context = watched.value

    # Called at every handshake, be a name asked for or not.
    first = _context(files, now())
    first.sni_callback = chosen
    return first


def _context(files: TlsFiles, now: datetime) -> ssl.SSLContext:
    material = load(files, now)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(files.cert, files.key)
    except (OSError, ssl.SSLError) as exc:
        raise ConfigError(f"{files.cert} and {files.key} changed while they were read") from exc
    if material.client_ca is not None:
        # As DER: around certificates in PEM there may be comments, which ssl takes in ASCII alone.
        authorities = x509.load_pem_x509_certificates(material.client_ca)
        context.load_verify_locations(
            cadata=b"".join(each.public_bytes(Encoding.DER) for each in authorities)
        )
        context.verify_mode = ssl.CERT_REQUIRED
    return context
