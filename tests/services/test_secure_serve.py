"""`budgetmem serve` with keys and TLS, as a process of its own, with the real weights of `tiny`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from budgetmem import cli
from budgetmem.client import Client, Tier, Turn, tls
from budgetmem.errors import PermissionDenied, Unauthenticated
from server.security.keys_command import app as keys
from tests.server.security.certificates import made

pytestmark = [pytest.mark.services, pytest.mark.timeout(600)]

AUTHORITY = made("authority")
PAIR = made("server", AUTHORITY)
SECRET_WORDS = ("zanzibar", "quokka", "yggdrasil")
TURNS = [
    Turn("t1", "Ana", "I booked a flight to zanzibar.", session="s1"),
    Turn("t2", "Bo", "My quokka comes along.", session="s1"),
]


def keys_command(data_dir, *arguments):
    result = CliRunner().invoke(keys, [*arguments, "--data-dir", str(data_dir), "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture
def folder(needs_tiny, tmp_path):
    """Certificates, and a data folder."""
    (tmp_path / "ca.pem").write_bytes(AUTHORITY.cert)
    (tmp_path / "cert.pem").write_bytes(PAIR.cert)
    (tmp_path / "key.pem").write_bytes(PAIR.key)
    return tmp_path


@pytest.fixture
def serve(folder):
    """Starts a server; gives the process, its address and its file of logs."""
    running = []

    def start(*arguments):
        log = (folder / "log").open("wb")
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "server", "--profile", "tiny", "--log-level", "debug"),
                *("--data-dir", str(folder / "data"), "--drain", "2", *arguments),
                *("--port", "0", "--port-file", str(folder / "port")),
            ],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        running.append(process)
        first_line = process.stdout.readline()
        assert first_line.startswith("ready"), (folder / "log").read_text()
        return process, f"127.0.0.1:{(folder / 'port').read_text().strip()}"

    yield start
    for process in running:
        process.kill()
        process.communicate()


def refused_after(client, seconds):
    """Calls until it is refused, which must not take longer."""
    begin = time.monotonic()
    while time.monotonic() - begin < seconds:
        try:
            client.histories()
        except Unauthenticated:
            return
        time.sleep(0.05)
    pytest.fail(f"it is let in after {seconds} s still")


def test_a_secure_server_from_key_to_revocation(folder, serve):
    data_dir: Path = folder / "data"
    ana = keys_command(data_dir, "create", "--tenant", "acme")
    ben = keys_command(data_dir, "create", "--tenant", "globex", "--scope", "read")
    process, address = serve(
        *("--tls-cert", str(folder / "cert.pem"), "--tls-key", str(folder / "key.pem"))
    )
    credentials = tls(folder / "ca.pem")

    def client(key, tenant=None):
        return Client(address, api_key=key, tenant=tenant, credentials=credentials, timeout_s=120)

    with client(ana["key"]) as owner, client(ben["key"]) as other:
        owner.ingest("trip", TURNS)
        for tier in Tier:
            answer = owner.answer("trip", "Where does yggdrasil fly?", tier=tier)
            assert answer.receipt.total.input_tokens > 0
        assert other.histories() == ()
        with pytest.raises(PermissionDenied):
            other.ingest("trip", TURNS)
        with client(ben["key"], "acme") as impostor, pytest.raises(PermissionDenied):
            impostor.histories()
        with client(None) as stranger, pytest.raises(Unauthenticated):
            stranger.histories()

        environment = {**os.environ, "BUDGETMEM_SERVER": address}
        environment |= {"BUDGETMEM_API_KEY": ana["key"], "BUDGETMEM_CA_CERT": f"{folder}/ca.pem"}
        listed = CliRunner(env=environment).invoke(cli.app, ["histories", "--json"])
        assert [each["history"] for each in json.loads(listed.stdout)] == ["trip"]

        keys_command(data_dir, "revoke", ana["id"])
        refused_after(owner, 10)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 0
    log = (folder / "log").read_text()
    assert "refused" in log
    secrets = [each["key"].rpartition("_")[2] for each in (ana, ben)]
    assert [word for word in (*SECRET_WORDS, *secrets) if word in log] == []


def test_a_network_is_refused_in_one_line(folder):
    options = ("--host", "0.0.0.0", "--data-dir", str(folder / "data"))
    done = subprocess.run(
        [sys.executable, "-m", "server", "--profile", "tiny", *options],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: other machines can reach 0.0.0.0: ask for credentials")
