"""/metrics over HTTP, in a thread of its own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prometheus_client import CollectorRegistry, disable_created_metrics, start_http_server

from budgetmem.errors import ConfigError

logger = logging.getLogger(__name__)


@asynccontextmanager
async def metrics_endpoint(registry: CollectorRegistry, host: str, port: int) -> AsyncIterator[int]:
    """Serves the registry until the block ends; gives the port, any free one for 0.

    Raises ConfigError if the address cannot be had.
    """
    # In the text format each counter's time of birth is a metric of its own, which nobody asks for.
    disable_created_metrics()  # type: ignore[no-untyped-call]
    try:
        server, thread = start_http_server(port, host, registry)
    except OSError as exc:
        raise ConfigError(
            f"cannot serve metrics on {host}:{port} ({exc}): name another --metrics-port, or "
            "--metrics-host"
        ) from exc
    logger.info("metrics on http://%s:%d/metrics", host, server.server_port)
    try:
        yield server.server_port
    finally:
        await asyncio.to_thread(server.shutdown)
        server.server_close()
        thread.join()
