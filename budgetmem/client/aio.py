"""The client for asyncio."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from types import TracebackType

import grpc
from typing_extensions import Unpack

from budgetmem.client.calls import (
    DEFAULT_SERVER,
    CallOptions,
    QueryOptions,
    batches,
    call_options,
    channel_options,
    delete_turns_of,
    insecure_options,
    query_of,
    reload_of,
    summed,
)
from budgetmem.client.failures import CLOSED, translated
from budgetmem.client.identity import ApiKey, Identity, check_private
from budgetmem.errors import ServerError
from budgetmem.history import IngestReport
from budgetmem.info import RouterVersion, Sample, ServerInfo
from budgetmem.pipeline import Event
from budgetmem.proto.budgetmem.v1 import admin_pb2
from budgetmem.proto.budgetmem.v1 import memory_pb2 as pb
from budgetmem.proto.budgetmem.v1.admin_pb2_grpc import AdminServiceStub
from budgetmem.proto.budgetmem.v1.memory_pb2_grpc import MemoryServiceStub
from budgetmem.store.base import DeletionProof, HistoryInfo
from budgetmem.types import Answer, Memory, Turn
from budgetmem.wire.admin import decode_metrics, decode_reloaded
from budgetmem.wire.events import decode_event
from budgetmem.wire.histories import (
    decode_exported,
    decode_history,
    decode_ingest_report,
    decode_proof,
)
from budgetmem.wire.info import decode_info
from budgetmem.wire.results import decode_answer, decode_memory


class AsyncClient:
    """`Client` for asyncio: the same methods, options and errors, to be awaited.

    Make it inside the event loop that uses it. Cancelling a task cancels its call, and the work
    on the server.
    """

    def __init__(
        self,
        server: str = DEFAULT_SERVER,
        *,
        tenant: str | None = None,
        timeout_s: float | None = None,
        credentials: grpc.ChannelCredentials | None = None,
        api_key: ApiKey | None = None,
    ) -> None:
        self.server = server
        self.tenant = tenant
        self._identity = Identity(tenant, api_key)
        check_private(server, self._identity, secure=credentials is not None)
        self._timeout_s = timeout_s
        self._closed = False
        self._channel = (
            grpc.aio.insecure_channel(server, insecure_options(self._identity, server))
            if credentials is None
            else grpc.aio.secure_channel(server, credentials, channel_options())
        )
        self._stub = MemoryServiceStub(self._channel)
        self._admin = AdminServiceStub(self._channel)

    async def ingest(
        self,
        history: str,
        turns: Iterable[Turn],
        *,
        on_batch: Callable[[int, IngestReport], None] | None = None,
        timeout_s: float | None = None,
    ) -> IngestReport:
        """Adds turns to a history, in batches. See `Client.ingest`."""
        reports: list[IngestReport] = []
        for start, request in batches(history, turns):
            with translated(self.server, start):
                response = await self._stub.Ingest(request, **self._call(timeout_s))
            reports.append(decode_ingest_report(response))
            if on_batch is not None:
                on_batch(len(request.turns), reports[-1])
        return summed(reports)

    async def extract(self, history: str, query: str, **options: Unpack[QueryOptions]) -> Memory:
        """The memory that the query needs, and its receipt. See `Client.extract`."""
        request = query_of(history, query, options)
        with translated(self.server):
            response = await self._stub.Extract(request, **self._call(options.get("timeout_s")))
        return decode_memory(response.memory)

    async def extract_stream(
        self, history: str, query: str, **options: Unpack[QueryOptions]
    ) -> AsyncIterator[Event | Memory]:
        """As `extract`, event by event. See `Client.extract_stream`."""
        request = query_of(history, query, options)
        call = self._stub.ExtractStream(request, **self._call(options.get("timeout_s")))
        try:
            with translated(self.server):
                async for message in call:
                    yield decode_event(message)
        finally:
            call.cancel()

    async def answer(self, history: str, query: str, **options: Unpack[QueryOptions]) -> Answer:
        """An answer from the extracted memory alone. See `Client.answer`."""
        request = pb.AnswerRequest(extract=query_of(history, query, options))
        with translated(self.server):
            response = await self._stub.Answer(request, **self._call(options.get("timeout_s")))
        return decode_answer(response)

    async def histories(self, *, timeout_s: float | None = None) -> tuple[HistoryInfo, ...]:
        """The tenant's histories, by name."""
        request = pb.ListHistoriesRequest()
        with translated(self.server):
            response = await self._stub.ListHistories(request, **self._call(timeout_s))
        return tuple(map(decode_history, response.histories))

    async def export(self, history: str, *, timeout_s: float | None = None) -> AsyncIterator[Turn]:
        """Every turn, in order, as it was ingested. See `Client.export`."""
        request = pb.ExportHistoryRequest(history=history)
        call = self._stub.ExportHistory(request, **self._call(timeout_s))
        try:
            with translated(self.server):
                async for response in call:
                    yield decode_exported(response)
        finally:
            call.cancel()

    async def delete(self, history: str, *, timeout_s: float | None = None) -> DeletionProof:
        """Deletes a history, and returns the proof. See `Client.delete`."""
        request = pb.DeleteHistoryRequest(history=history)
        with translated(self.server):
            response = await self._stub.DeleteHistory(request, **self._call(timeout_s))
        return decode_proof(response)

    async def delete_turns(
        self, history: str, turn_ids: Iterable[str], *, timeout_s: float | None = None
    ) -> DeletionProof:
        """Deletes turns, and returns the proof. See `Client.delete_turns`."""
        request = delete_turns_of(history, turn_ids)
        with translated(self.server):
            response = await self._stub.DeleteTurns(request, **self._call(timeout_s))
        return decode_proof(response)

    async def delete_tenant(self, *, timeout_s: float | None = None) -> DeletionProof:
        """Deletes all histories of the tenant, and returns the proof."""
        request = pb.DeleteTenantRequest()
        with translated(self.server):
            response = await self._stub.DeleteTenant(request, **self._call(timeout_s))
        return decode_proof(response)

    async def info(self, *, timeout_s: float | None = None) -> ServerInfo:
        """What the server runs: models, tiers, prices, strategies, router, limits."""
        with translated(self.server):
            response = await self._stub.GetInfo(pb.GetInfoRequest(), **self._call(timeout_s))
        return decode_info(response)

    async def reload_routers(
        self, strategy: str = "", *, timeout_s: float | None = None
    ) -> tuple[RouterVersion, ...]:
        """Has the server read its trained routers again. See `Client.reload_routers`."""
        request = reload_of(strategy)
        with translated(self.server):
            response = await self._admin.ReloadRouters(request, **self._call(timeout_s))
        return decode_reloaded(response)

    async def metrics(self, *, timeout_s: float | None = None) -> tuple[Sample, ...]:
        """A few metrics of the whole server. See `Client.metrics`."""
        with translated(self.server):
            response = await self._admin.GetMetrics(
                admin_pb2.GetMetricsRequest(), **self._call(timeout_s)
            )
        return decode_metrics(response)

    async def close(self) -> None:
        """Ends the connection; running calls are cancelled."""
        self._closed = True
        await self._channel.close()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def _call(self, timeout_s: float | None) -> CallOptions:
        if self._closed:
            raise ServerError(CLOSED)
        return call_options(self._identity, timeout_s, self._timeout_s)
