"""Starts the process of an embedded Triton, under its supervisor and in a folder of its own."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from budgetmem.assets import cache_root
from budgetmem.hosts import LOOPBACK
from server.triton_install import TritonInstall, find_install

SUPERVISOR = Path(__file__).with_name("supervise.py")
PREFIX = "budgetmem-triton-"
MAX_LINE_BYTES = 1 << 20


@dataclass(frozen=True)
class Launched:
    """A supervisor's process, which ends with Triton, and the `stub` that its models run in."""

    process: asyncio.subprocess.Process
    stub: Path


@dataclass(frozen=True)
class Launch:
    """How Triton is started; times in seconds."""

    repository: Path
    grpc_port: int
    start_timeout_s: float
    stop_timeout_s: float
    environment: Mapping[str, str]

    async def start(self) -> Launched:
        """Raises ConfigError if Triton is not installed, OSError if there is no room for it: on the
        disk, for a process, for a file. Then nothing of it is left."""
        install = find_install()
        with _work_folder() as folder:
            backends = install.backend_directory(folder / "backends")
            process = await self._supervised(install, folder, backends)
        return Launched(process, backends / "python" / install.stub.name)

    async def _supervised(
        self, install: TritonInstall, folder: Path, backends: Path
    ) -> asyncio.subprocess.Process:
        shm_prefix = f"budgetmem_{uuid.uuid4().hex[:12]}_"
        options = self._options(backends, shm_prefix)
        # Models find the same assets from another folder.
        assets = {"BUDGETMEM_ASSETS": str(cache_root().absolute())}
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", str(SUPERVISOR)),
            *(str(self.stop_timeout_s), shm_prefix, str(folder), "--"),
            *(str(install.binary), *(f"--{k}={v}" for k, v in options)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, **assets, **install.environment(), **self.environment},
            # Its stubs look for modules in the current folder first: the user's may hold any.
            cwd=folder,
            limit=MAX_LINE_BYTES,
            # Ctrl-C at a terminal reaches this process, which then stops Triton in order.
            start_new_session=True,
        )

    def _options(self, backends: Path, shm_prefix: str) -> list[tuple[str, str]]:
        return [
            ("model-repository", str(self.repository.resolve())),
            ("backend-directory", str(backends)),
            ("backend-config", f"python,shm-region-prefix-name={shm_prefix}"),
            ("backend-config", f"python,stub-timeout-seconds={round(self.start_timeout_s)}"),
            ("grpc-address", LOOPBACK),
            ("grpc-port", str(self.grpc_port)),
            ("allow-http", "false"),
            ("allow-metrics", "false"),
            ("exit-on-error", "true"),
            ("strict-readiness", "true"),
            ("exit-timeout-secs", str(max(1, round(self.stop_timeout_s / 2)))),
        ]


@contextmanager
def _work_folder() -> Iterator[Path]:
    """A folder that the supervisor removes, or the end of the block if that is an error."""
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    try:
        yield folder
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
