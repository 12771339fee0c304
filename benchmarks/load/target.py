"""What the load goes to: a server of this benchmark's own, or one that is named."""

from __future__ import annotations

import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from budgetmem.client.aio import AsyncClient
from budgetmem.errors import ServerUnavailable
from budgetmem.interpreter import module_command
from budgetmem.types import Turn

DRAIN_S = 2
STOP_S = 30


@dataclass(frozen=True)
class Served:
    """A running server: where it listens, and its process."""

    address: str
    pid: int


@contextmanager
def serving(profile: str, data_dir: Path, errors: int | None = None) -> Iterator[Served]:
    """`budgetmem serve` as a child process. What it logs goes to `errors` (None: where ours goes).

    Raises ServerUnavailable where it ends before it is ready; it says itself why.
    """
    with tempfile.TemporaryDirectory(prefix="budgetmem-load-") as folder:
        port_file = Path(folder) / "port"
        command = module_command("server", "--profile", profile, "--json-logs")
        # Loads are measured on tiers that do not depend on what a router was trained on.
        command.append("--no-bundled-routers")
        command += ["--port", "0", "--port-file", str(port_file)]
        command += ["--data-dir", str(data_dir), "--drain", str(DRAIN_S)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
        try:
            if process.stdout is None or not process.stdout.readline():
                raise ServerUnavailable(f"the server ended with code {process.wait(STOP_S)}")
            port = port_file.read_text(encoding="ascii").strip()
            yield Served(f"127.0.0.1:{port}", process.pid)
        finally:
            _stop(process)


async def ingest(
    server: str, tenants: Sequence[str], histories: Mapping[str, Sequence[Turn]]
) -> None:
    """Every tenant gets every history; what is there already stays as it is."""
    for tenant in tenants:
        async with AsyncClient(server, tenant=tenant) as client:
            for history, turns in histories.items():
                await client.ingest(history, turns)


def _stop(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
