"""The embedded Triton: a server process of our own, for one model repository, on loopback only.

    async with EmbeddedTriton(repository) as triton:
        models = await connect(profile, triton.url)

Its log goes to the logger `triton`. It ends with this process, however this process ends
(`server.supervise`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import socket
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

from budgetmem.errors import BackboneUnavailable, ConfigError
from budgetmem.hosts import LOOPBACK
from budgetmem.triton import wait_ready
from server.stub_watch import StubWatch
from server.triton_launch import Launch
from server.triton_log import graded

logger = logging.getLogger("triton")

MODEL_LOADED = re.compile(r"successfully loaded '([^']+)'")

Progress = Callable[[Sequence[str], Sequence[str]], None]
"""Called with the models loaded so far, and with all of them."""


class EmbeddedTriton:
    """Starts Triton on `repository` and stops it; `url` is its gRPC address, host:port.

    The address stays the same over `restart()`, so that clients reconnect by themselves.
    `on_trouble` is called when it is about to be stopped because one of its models died, or was
    given up. Use it as an asynchronous context manager, or call `start` and `stop`.
    """

    def __init__(
        self,
        repository: Path,
        *,
        start_timeout_s: float = 600.0,
        stop_timeout_s: float = 10.0,
        on_progress: Progress | None = None,
        environment: Mapping[str, str] | None = None,
        kept_log_lines: int = 60,
        on_trouble: Callable[[], None] | None = None,
    ) -> None:
        self._repository = repository
        self._on_progress = on_progress
        self._on_trouble = on_trouble or (lambda: None)
        self._log: deque[str] = deque(maxlen=kept_log_lines)
        self._loaded: list[str] = []
        self._models = models_in(repository)
        [port] = free_ports(1)
        self._launch = Launch(
            repository, port, start_timeout_s, stop_timeout_s, dict(environment or {})
        )
        self._process: asyncio.subprocess.Process | None = None
        self._log_reader: asyncio.Task[None] | None = None
        self._watch: StubWatch | None = None

    @property
    def url(self) -> str:
        return f"{LOOPBACK}:{self._launch.grpc_port}"

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    @property
    def log_tail(self) -> tuple[str, ...]:
        """The last lines of Triton's log, oldest first."""
        return tuple(self._log)

    async def start(self) -> None:
        """Starts Triton and returns once every model is ready.

        Raises ConfigError if it is not installed, BackboneUnavailable if the machine has no room
        for it, and with the end of its log if it dies on the way or is not ready within
        `start_timeout_s`.
        """
        if self.running:
            return
        self._log.clear()
        self._loaded.clear()
        try:
            await self._start()
        except OSError as exc:
            # What was full may be emptied: whoever restarts it is to try again.
            raise BackboneUnavailable(
                f"the embedded Triton cannot be started ({exc}): check the room on the disk of "
                "temporary files, and the limits of open files and processes"
            ) from exc

    async def stop(self) -> None:
        """Stops Triton: gracefully, after `stop_timeout_s` by force. Idempotent."""
        if self._process is None or self._log_reader is None:
            return
        if self._watch is not None:
            self._watch.close()
            self._watch = None
        self._order_stop()
        await self._process.wait()
        await self._log_reader
        self._process = self._log_reader = None

    async def restart(self) -> None:
        """Stops what is left of Triton and starts it anew on the same address."""
        await self.stop()
        await self.start()

    def give_up(self, model: str) -> None:
        """Stops Triton, of which one model does not answer any more; `wait_exit` then returns.

        Without effect while it starts or stops: what was found is of another life.
        """
        self._end_because(f"{model} does not answer")

    async def wait_exit(self) -> int:
        """Returns Triton's exit code once it has ended: by itself, by `stop`, or because the
        process of one of its models died."""
        if self._process is None:
            raise ConfigError("the embedded Triton was not started")
        return await self._process.wait()

    async def __aenter__(self) -> EmbeddedTriton:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    def _order_stop(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()

    async def _start(self) -> None:
        launched = await self._launch.start()
        self._process = launched.process
        self._log_reader = asyncio.create_task(self._read_log(launched.process))
        try:
            await self._until_ready()
            self._watch = StubWatch(launched.stub, self._model_died)
        except BaseException:
            await self.stop()
            raise

    def _model_died(self, model: str) -> None:
        self._end_because(f"the process of model {model} died")

    def _end_because(self, reason: str) -> None:
        if self._watch is None:
            return
        logger.error("%s: stopping Triton, it would not notice", reason)
        self._on_trouble()
        self._order_stop()

    async def _until_ready(self) -> None:
        """Triton opens its port only when every model is loaded: until then its log tells."""
        ready = asyncio.create_task(
            wait_ready(self.url, self._models, timeout_s=self._launch.start_timeout_s)
        )
        ended = asyncio.create_task(self.wait_exit())
        try:
            await asyncio.wait((ready, ended), return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                await self._drain_log()
                raise BackboneUnavailable(self._failure(f"ended with code {ended.result()}"))
            await ready
        except BackboneUnavailable as exc:
            if ended.done():
                raise
            late = f"was not ready after {self._launch.start_timeout_s:g} s"
            raise BackboneUnavailable(self._failure(late)) from exc
        finally:
            for task in (ready, ended):
                task.cancel()
            await asyncio.gather(ready, ended, return_exceptions=True)

    async def _drain_log(self) -> None:
        if self._log_reader is not None:
            await self._log_reader

    def _failure(self, what: str) -> str:
        waiting = [model for model in self._models if model not in self._loaded]
        return "\n".join(
            [
                f"the embedded Triton on {self._repository} {what}; models not loaded: "
                f"{', '.join(waiting) or 'none'}. The cause is in the end of its log:",
                *(f"    {line}" for line in self._log),
            ]
        )

    async def _read_log(self, process: asyncio.subprocess.Process) -> None:
        while process.stdout is not None:
            try:
                line = await process.stdout.readline()
            except ValueError:
                logger.warning("a line of Triton's log was too long and was dropped")
                continue
            if not line:
                return
            self._take(line.decode(errors="replace").rstrip())

    def _take(self, line: str) -> None:
        if not line:
            return
        self._log.append(line)
        logger.log(*graded(line))
        loaded = MODEL_LOADED.search(line)
        if loaded and loaded[1] not in self._loaded:
            self._loaded.append(loaded[1])
            if self._on_progress is not None:
                self._on_progress(tuple(self._loaded), self._models)


def models_in(repository: Path) -> tuple[str, ...]:
    """Names of the models of a repository, sorted. Raises ConfigError if there is none."""
    models = tuple(sorted(p.parent.name for p in repository.glob("*/config.pbtxt")))
    if not models:
        raise ConfigError(f"{repository} is not a Triton model repository: no */config.pbtxt in it")
    return models


def free_ports(count: int) -> tuple[int, ...]:
    """Distinct TCP ports of the loopback address that were free a moment ago."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((LOOPBACK, 0))
        return tuple(each.getsockname()[1] for each in sockets)
