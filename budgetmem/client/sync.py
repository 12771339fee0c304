"""The client for threads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
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


class Client:
    """A connection to one server, on behalf of one tenant. Safe to share between threads.

    `server` is HOST:PORT. `timeout_s` bounds every call, in seconds, where the call does not say
    otherwise; None waits for ever. With `credentials` the connection is TLS
    (`budgetmem.client.tls`). `api_key` is an API key or a JWT, or returns one; it says whose
    histories are meant. `tenant` says it on a server that asks for no key; None is "default".

    Raises ConfigError for a key without `credentials`, unless the server is on this machine.

    Every method raises ServerUnavailable where no server answers, DeadlineExceeded when the
    timeout passes, Overloaded when the server is too busy, Unauthenticated for a key that is not
    valid, PermissionDenied for a call that the key does not allow, InvalidInput with the path of
    the field for input that the server refuses, and ServerError where the server itself fails, or
    the client is closed.
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
            grpc.insecure_channel(server, insecure_options(self._identity, server))
            if credentials is None
            else grpc.secure_channel(server, credentials, channel_options())
        )
        self._stub = MemoryServiceStub(self._channel)
        self._admin = AdminServiceStub(self._channel)

    def ingest(
        self,
        history: str,
        turns: Iterable[Turn],
        *,
        on_batch: Callable[[int, IngestReport], None] | None = None,
        timeout_s: float | None = None,
    ) -> IngestReport:
        """Adds turns to a history, which is made on first use; harmless to repeat.

        The turns go in batches; after each, `on_batch` is told how many turns went in it and
        what was done with them. `timeout_s` bounds one batch. An error leaves the batches before
        it in place: repeat the call to go on.

        Raises DuplicateTurn for an id that is taken by a turn of other content, HistoryFull if
        the history would be longer than the server keeps, Conflict if a concurrent writer keeps
        winning.
        """
        reports: list[IngestReport] = []
        for start, request in batches(history, turns):
            with translated(self.server, start):
                response = self._stub.Ingest(request, **self._call(timeout_s))
            reports.append(decode_ingest_report(response))
            if on_batch is not None:
                on_batch(len(request.turns), reports[-1])
        return summed(reports)

    def extract(self, history: str, query: str, **options: Unpack[QueryOptions]) -> Memory:
        """The memory that the query needs, within the budget, and its receipt.

        Raises NotFound for an unknown history, BackboneUnavailable where a model is away.
        """
        request = query_of(history, query, options)
        with translated(self.server):
            return decode_memory(
                self._stub.Extract(request, **self._call(options.get("timeout_s"))).memory
            )

    def extract_stream(
        self, history: str, query: str, **options: Unpack[QueryOptions]
    ) -> Iterator[Event | Memory]:
        """As `extract`, event by event: RetrievedEvent, a StepEvent a module, then the Memory.

        Closing the iterator cancels the work on the server.
        """
        request = query_of(history, query, options)
        call = self._stub.ExtractStream(request, **self._call(options.get("timeout_s")))
        try:
            with translated(self.server):
                yield from map(decode_event, call)
        finally:
            call.cancel()

    def answer(self, history: str, query: str, **options: Unpack[QueryOptions]) -> Answer:
        """An answer from the extracted memory alone; the budget covers both.

        Raises BudgetTooSmall if a ceiling cannot even pay for the answer, else as `extract`.
        """
        request = pb.AnswerRequest(extract=query_of(history, query, options))
        with translated(self.server):
            return decode_answer(self._stub.Answer(request, **self._call(options.get("timeout_s"))))

    def histories(self, *, timeout_s: float | None = None) -> tuple[HistoryInfo, ...]:
        """The tenant's histories, by name."""
        with translated(self.server):
            response = self._stub.ListHistories(pb.ListHistoriesRequest(), **self._call(timeout_s))
        return tuple(map(decode_history, response.histories))

    def export(self, history: str, *, timeout_s: float | None = None) -> Iterator[Turn]:
        """Every turn, in order, as it was ingested. Raises NotFound for an unknown history."""
        request = pb.ExportHistoryRequest(history=history)
        call = self._stub.ExportHistory(request, **self._call(timeout_s))
        try:
            with translated(self.server):
                for response in call:
                    yield decode_exported(response)
        finally:
            call.cancel()

    def delete(self, history: str, *, timeout_s: float | None = None) -> DeletionProof:
        """Deletes a history and all that was derived from it, and returns the proof.

        Raises NotFound for an unknown history.
        """
        request = pb.DeleteHistoryRequest(history=history)
        with translated(self.server):
            return decode_proof(self._stub.DeleteHistory(request, **self._call(timeout_s)))

    def delete_turns(
        self, history: str, turn_ids: Iterable[str], *, timeout_s: float | None = None
    ) -> DeletionProof:
        """Deletes turns and all that was derived from them, and returns the proof.

        Turns that are not there are no fault. Raises NotFound for an unknown history.
        """
        request = delete_turns_of(history, turn_ids)
        with translated(self.server):
            return decode_proof(self._stub.DeleteTurns(request, **self._call(timeout_s)))

    def delete_tenant(self, *, timeout_s: float | None = None) -> DeletionProof:
        """Deletes all histories of the tenant, and returns the proof."""
        request = pb.DeleteTenantRequest()
        with translated(self.server):
            return decode_proof(self._stub.DeleteTenant(request, **self._call(timeout_s)))

    def info(self, *, timeout_s: float | None = None) -> ServerInfo:
        """What the server runs: models, tiers, prices, strategies, router, limits."""
        with translated(self.server):
            return decode_info(self._stub.GetInfo(pb.GetInfoRequest(), **self._call(timeout_s)))

    def reload_routers(
        self, strategy: str = "", *, timeout_s: float | None = None
    ) -> tuple[RouterVersion, ...]:
        """Has the server read a strategy's trained router again, or without a strategy all of them.

        They come from the folders that the server was started with. Running requests keep the
        router that they began with. Raises ConfigError naming what is wrong with a router, or that
        the server was started without one; the old routers then go on.
        """
        request = reload_of(strategy)
        with translated(self.server):
            return decode_reloaded(self._admin.ReloadRouters(request, **self._call(timeout_s)))

    def metrics(self, *, timeout_s: float | None = None) -> tuple[Sample, ...]:
        """A few metrics of the whole server, all tenants together, as they are at this moment."""
        request = admin_pb2.GetMetricsRequest()
        with translated(self.server):
            return decode_metrics(self._admin.GetMetrics(request, **self._call(timeout_s)))

    def close(self) -> None:
        """Ends the connection; running calls are cancelled."""
        self._closed = True
        self._channel.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _call(self, timeout_s: float | None) -> CallOptions:
        if self._closed:
            raise ServerError(CLOSED)
        return call_options(self._identity, timeout_s, self._timeout_s)
