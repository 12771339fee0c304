"""Whether the server answers calls, in gRPC's own protocol of health."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Collection
from typing import Any

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from budgetmem.errors import NotFound

Context = grpc.aio.ServicerContext[Any, Any]


class Health:
    """The health service of services with these `names`, which are all ready or none is.

    Not that of grpcio-health-checking: who watches there and does not read holds up what is told to
    all others.
    """

    def __init__(self, names: Collection[str]) -> None:
        self._names = frozenset(names)
        self._ready = False
        self._closed = False
        self._news = asyncio.Event()

    @property
    def ready(self) -> bool:
        """May be asked from any thread."""
        return self._ready

    def tell(self, *, ready: bool) -> None:
        """From now on this is so, unless it is closed."""
        self._ready = ready and not self._closed
        news, self._news = self._news, asyncio.Event()
        news.set()

    def close(self) -> None:
        """It is ready no more, and whoever watches is told so last."""
        self._closed = True
        self.tell(ready=False)

    async def Check(self, request: HealthCheckRequest, context: Context) -> HealthCheckResponse:
        if request.service not in self._names:
            raise NotFound(f"no service {request.service!r:.200}")
        return HealthCheckResponse(status=self._status(request.service))

    async def Watch(
        self, request: HealthCheckRequest, context: Context
    ) -> AsyncGenerator[HealthCheckResponse, None]:
        told = None
        while True:
            # What happens while this is sent is news too.
            news, last = self._news, self._closed
            if (status := self._status(request.service)) != told:
                yield HealthCheckResponse(status=status)
            if last:
                return
            told = status
            await news.wait()

    def _status(self, name: str) -> HealthCheckResponse.ServingStatus:
        if name not in self._names:
            return HealthCheckResponse.SERVICE_UNKNOWN
        return HealthCheckResponse.SERVING if self._ready else HealthCheckResponse.NOT_SERVING
