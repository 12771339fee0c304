"""MemoryService: protobuf to types and back, nothing else."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from functools import partial
from typing import Any

import grpc

from budgetmem.pipeline import Event, ExtractRequest
from budgetmem.proto.budgetmem.v1 import memory_pb2 as pb
from budgetmem.proto.budgetmem.v1.memory_pb2_grpc import MemoryServiceServicer
from budgetmem.types import Memory
from budgetmem.wire.events import encode_event
from budgetmem.wire.histories import encode_history, encode_ingest_report, encode_proof
from budgetmem.wire.info import encode_info
from budgetmem.wire.requests import TENANT_KEY, decode_name, decode_query, decode_turns
from budgetmem.wire.results import encode_answer, encode_memory
from budgetmem.wire.values import encode_turn
from server.engine import Engine, EngineSlot, overview
from server.security.tenants import Tenants
from server.streaming import observed

Context = grpc.aio.ServicerContext[Any, Any]


class MemoryService(MemoryServiceServicer):
    """The gRPC service. Until the slot has an engine, every call is ServerUnavailable.

    `tenants` tells whose histories a call means.
    """

    def __init__(self, slot: EngineSlot, tenants: Tenants) -> None:
        self._slot = slot
        self._tenants = tenants

    @property
    def _engine(self) -> Engine:
        return self._slot.engine

    async def Ingest(self, request: pb.IngestRequest, context: Context) -> pb.IngestResponse:
        engine = self._engine
        limits = engine.described.limits
        history = decode_name(request.history, "history", limits)
        turns = decode_turns(request.turns, limits)
        report = await engine.histories.ingest(self._tenant(context), history, turns)
        return encode_ingest_report(report)

    async def Extract(self, request: pb.ExtractRequest, context: Context) -> pb.ExtractResponse:
        memory = await self._engine.pipeline.extract(self._query(request, context))
        return pb.ExtractResponse(memory=encode_memory(memory))

    async def ExtractStream(
        self, request: pb.ExtractRequest, context: Context
    ) -> AsyncGenerator[pb.ExtractEvent, None]:
        extract = partial(self._engine.pipeline.extract, self._query(request, context))
        events: AsyncIterator[Event | Memory] = observed(extract)
        async for event in events:
            yield encode_event(event)

    async def Answer(self, request: pb.AnswerRequest, context: Context) -> pb.AnswerResponse:
        query = self._query(request.extract, context, prefix="extract.")
        return encode_answer(await self._engine.pipeline.answer(query))

    async def ListHistories(
        self, request: pb.ListHistoriesRequest, context: Context
    ) -> pb.ListHistoriesResponse:
        found = await overview(self._engine.histories, self._tenant(context))
        return pb.ListHistoriesResponse(histories=map(encode_history, found))

    async def ExportHistory(
        self, request: pb.ExportHistoryRequest, context: Context
    ) -> AsyncGenerator[pb.ExportHistoryResponse, None]:
        history = decode_name(request.history, "history", self._engine.described.limits)
        for turn in await self._engine.histories.export(self._tenant(context), history):
            yield pb.ExportHistoryResponse(turn=encode_turn(turn))

    async def DeleteHistory(
        self, request: pb.DeleteHistoryRequest, context: Context
    ) -> pb.DeleteHistoryResponse:
        history = decode_name(request.history, "history", self._engine.described.limits)
        return encode_proof(await self._engine.histories.delete(self._tenant(context), history))

    async def GetInfo(self, request: pb.GetInfoRequest, context: Context) -> pb.GetInfoResponse:
        return encode_info(self._engine.info)

    def _query(
        self, message: pb.ExtractRequest, context: Context, prefix: str = ""
    ) -> ExtractRequest:
        info = self._engine.described
        query = decode_query(message, info.limits, info.modules, prefix)
        return ExtractRequest(
            tenant=self._tenant(context),
            history=query.history,
            query=query.query,
            strategy=query.strategy,
            budget=query.budget,
            max_tokens=query.max_tokens,
            asked_at=query.asked_at,
        )

    def _tenant(self, context: Context) -> str:
        tenant = self._tenants.of(context)
        return decode_name(tenant, TENANT_KEY, self._engine.described.limits)
