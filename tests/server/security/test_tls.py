"""Certificates: what is refused at the start, and what new connections see later."""

from __future__ import annotations

import socket
import ssl

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
)

from budgetmem.client import Client, tls
from budgetmem.errors import ConfigError, ServerUnavailable
from server.security.options import TlsFiles
from server.security.security import Security
from server.security.tls import load, server_credentials
from server.security.watched import LOOK_EVERY_S
from tests.server.fake_engine import running
from tests.server.security.certificates import DAY, NOW, made
from tests.server.security.clocks import Clock

AUTHORITY = made("authority")
PAIR = made("server", AUTHORITY)
NEXT = made("next server", AUTHORITY)


def write(folder, pair, client_ca=None):
    """The files of a pair."""
    files = TlsFiles(
        folder / "cert.pem", folder / "key.pem", None if client_ca is None else folder / "ca.pem"
    )
    files.cert.write_bytes(pair.cert)
    files.key.write_bytes(pair.key)
    if client_ca is not None:
        files.client_ca.write_bytes(client_ca)
    return files


def test_sound_files(tmp_path):
    material = load(write(tmp_path, PAIR, AUTHORITY.cert), NOW)
    assert (material.cert, material.key) == (PAIR.cert, PAIR.key)
    assert material.client_ca == AUTHORITY.cert
    assert load(write(tmp_path, PAIR), NOW).client_ca is None


def test_a_chain_may_follow_the_certificate(tmp_path):
    files = write(tmp_path, PAIR)
    files.cert.write_bytes(PAIR.cert + AUTHORITY.cert)
    assert load(files, NOW).cert.count(b"BEGIN") == 2


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("cert.pem", None, "cannot read .*cert.pem: No such file"),
        ("key.pem", None, "cannot read .*key.pem: No such file"),
        ("ca.pem", None, "cannot read .*ca.pem: No such file"),
        ("cert.pem", b"no certificate", "cert.pem is not a certificate in PEM"),
        ("ca.pem", b"no certificate", "ca.pem is not a certificate in PEM"),
        ("key.pem", b"no key", "key.pem is not a private key in PEM"),
        ("key.pem", NEXT.key, "key.pem is not the private key of the certificate .*cert.pem"),
        (
            "key.pem",
            PAIR.private.private_bytes(
                Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")
            ),
            "key.pem is encrypted",
        ),
        (
            "ca.pem",
            made("old authority", begin=NOW - 2 * DAY, end=NOW - DAY).cert,
            "ca.pem: expired on",
        ),
    ],
)
def test_files_that_cannot_work_are_named(tmp_path, name, content, message):
    files = write(tmp_path, PAIR, AUTHORITY.cert)
    path = tmp_path / name
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        load(files, NOW)


@pytest.mark.parametrize(
    ("now", "message"),
    [(NOW + DAY, "cert.pem: expired on"), (NOW - 2 * DAY, "cert.pem: is valid only from")],
)
def test_a_certificate_out_of_its_time_is_told(tmp_path, now, message):
    with pytest.raises(ConfigError, match=message):
        load(write(tmp_path, PAIR), now)


def test_an_expired_authority_may_stay_beside_its_successor(tmp_path):
    old = made("old authority", begin=NOW - 2 * DAY, end=NOW - DAY)
    assert load(write(tmp_path, PAIR, old.cert + AUTHORITY.cert), NOW)


@pytest.fixture
def authority(tmp_path):
    path = tmp_path / "authority.pem"
    path.write_bytes(AUTHORITY.cert)
    return path


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def serve(tmp_path, clock):
    """Starts a server on the files of a pair; gives it and them."""

    def start(pair, client_ca=None):
        files = write(tmp_path, pair, client_ca)
        credentials = server_credentials(files, clock=clock)
        return running(security=Security(credentials=credentials)), files

    return start


def shown_serial(address):
    """The serial number of the certificate that a new connection is shown."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), 20) as raw, context.wrap_socket(raw) as secure:
        return x509.load_der_x509_certificate(secure.getpeercert(binary_form=True)).serial_number


def test_a_client_that_knows_the_authority_gets_through(serve, authority):
    context, _ = serve(PAIR)
    with context as server:
        with Client(server.address, timeout_s=20, credentials=tls(authority)) as client:
            assert client.info().profile == "fake"
        with (
            Client(server.address, timeout_s=20, credentials=tls()) as stranger,
            pytest.raises(ServerUnavailable),
        ):
            stranger.info()
        with Client(server.address, timeout_s=20) as plain, pytest.raises(ServerUnavailable):
            plain.info()


def test_new_connections_see_a_new_certificate_without_a_restart(serve, authority, clock):
    context, files = serve(PAIR)
    with context as server:
        assert shown_serial(server.address) == PAIR.serial
        with Client(server.address, timeout_s=20, credentials=tls(authority)) as client:
            client.info()
            files.cert.write_bytes(NEXT.cert)
            clock.seconds += LOOK_EVERY_S
            assert shown_serial(server.address) == PAIR.serial, "the key is not there yet"
            files.key.write_bytes(NEXT.key)
            clock.seconds += LOOK_EVERY_S
            assert shown_serial(server.address) == NEXT.serial
            assert client.info().profile == "fake", "old connections go on"


def test_a_certificate_that_came_too_early_is_shown_once_it_is_valid(tmp_path, clock):
    soon = made("soon", AUTHORITY, begin=NOW + DAY / 2)
    now, files = NOW, write(tmp_path, PAIR)
    credentials = server_credentials(files, now=lambda: now, clock=clock)
    with running(security=Security(credentials=credentials)) as server:
        write(tmp_path, soon)
        clock.seconds += LOOK_EVERY_S
        assert shown_serial(server.address) == PAIR.serial
        now += DAY / 2
        clock.seconds += LOOK_EVERY_S
        assert shown_serial(server.address) == soon.serial


def test_mutual_tls_lets_in_only_the_authoritys_clients(serve, tmp_path, authority):
    client_authority = made("client authority")
    context, _ = serve(PAIR, client_authority.cert)
    files = {}
    for name, signer in (("known", client_authority), ("unknown", AUTHORITY)):
        pair = made(name, signer)
        files[name] = (tmp_path / f"{name}.pem", tmp_path / f"{name}-key.pem")
        files[name][0].write_bytes(pair.cert)
        files[name][1].write_bytes(pair.key)
    with context as server:

        def call(*client_files):
            credentials = tls(authority, *client_files)
            with Client(server.address, timeout_s=20, credentials=credentials) as client:
                return client.info()

        assert call(*files["known"]).profile == "fake"
        with pytest.raises(ServerUnavailable):
            call(*files["unknown"])
        with pytest.raises(ServerUnavailable):
            call()


async def test_grpc_asks_for_a_configuration_at_every_connection():
    """What the reading of changed files rests on."""
    asked = []
    initial = grpc.ssl_server_certificate_configuration([(PAIR.key, PAIR.cert)])

    def fetch():
        asked.append(1)

    server = grpc.aio.server()
    port = server.add_secure_port(
        "127.0.0.1:0", grpc.dynamic_ssl_server_credentials(initial, fetch)
    )
    await server.start()
    credentials = grpc.ssl_channel_credentials(AUTHORITY.cert)
    for _ in range(2):
        async with grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials) as channel:
            await channel.channel_ready()
    await server.stop(0)
    assert len(asked) == 2
