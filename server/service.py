"""MemoryService: protobuf to types and back, nothing else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any

import grpc

from budgetmem.info import Limits
from budgetmem.pipeline import Event, ExtractRequest
from budgetmem.proto.budgetmem.v1 import memory_pb2 as pb
from budgetmem.proto.budgetmem.v1.memory_pb2_grpc import MemoryServiceServicer
from budgetmem.types import Memory, Turn
from budgetmem.wire.events import encode_event
from budgetmem.wire.histories import encode_history, encode_ingest_report, encode_proof
from budgetmem.wire.info import encode_info
from budgetmem.wire.requests import (
    TENANT_KEY,
    decode_name,
    decode_query,
    decode_turn_ids,
    decode_turns,
)
from budgetmem.wire.results import encode_answer, encode_memory
from budgetmem.wire.values import encode_turn
from server.engine import Engine, EngineSlot, overview
from server.security.tenants import Tenants
from server.streaming import observed

Context = grpc.aio.ServicerContext[Any, Any]

REPLY_RESERVE_S = 0.05
"""Of a caller's deadline, kept back for the way of the reply."""


INLINE_TURNS = 256
"""So many are decoded in the event loop, more in a worker: 10,000 take a tenth of a second."""


class MemoryService(MemoryServiceServicer):
    """The gRPC service. Until the slot has an engine, every call is ServerUnavailable.

    `tenants` tells whose histories a call means. `clock` returns seconds, and must be that of the
    pipeline.
    """

    def __init__(
        self,
        slot: EngineSlot,
        tenants: Tenants,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._slot = slot
        self._tenants = tenants
        self._clock = clock

    @property
    def _engine(self) -> Engine:
        return self._slot.engine

    async def Ingest(self, request: pb.IngestRequest, context: Context) -> pb.IngestResponse:
        engine = self._engine
        limits = engine.described.limits
        history = decode_name(request.history, "history", limits)
        tenant = self._tenant(context)
        turns = await _decoded(request.turns, limits)
        report = await engine.histories.ingest(tenant, history, turns)
        return encode_ingest_report(report)

    async def Extract(self, request: pb.ExtractRequest, context: Context) -> pb.ExtractResponse:
        memory = await self._engine.pipeline.extract(self._query(request, context))
        return pb.ExtractResponse(memory=encode_memory(memory))

    async def ExtractStream(
        self, request: pb.ExtractRequest, context: Context
    ) -> AsyncGenerator[pb.ExtractEvent, None]:
        extract = partial(self._engine.pipeline.extract, self._query(request, context))
        events: AsyncGenerator[Event | Memory, None] = observed(extract)
        # A caller who goes waits here for the work's end, so that its place is free only then.
        async with aclosing(events):
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
        async for turn in self._engine.histories.export(self._tenant(context), history):
            yield pb.ExportHistoryResponse(turn=encode_turn(turn))

    async def DeleteHistory(
        self, request: pb.DeleteHistoryRequest, context: Context
    ) -> pb.DeleteHistoryResponse:
        history = decode_name(request.history, "history", self._engine.described.limits)
        proof = await self._engine.histories.delete(self._tenant(context), history)
        return encode_proof(proof, pb.DeleteHistoryResponse)

    async def DeleteTurns(
        self, request: pb.DeleteTurnsRequest, context: Context
    ) -> pb.DeleteTurnsResponse:
        engine = self._engine
        history = decode_name(request.history, "history", engine.described.limits)
        turn_ids = decode_turn_ids(request.turn_ids, engine.described.limits)
        proof = await engine.histories.delete_turns(self._tenant(context), history, turn_ids)
        return encode_proof(proof, pb.DeleteTurnsResponse)

    async def DeleteTenant(
        self, request: pb.DeleteTenantRequest, context: Context
    ) -> pb.DeleteTenantResponse:
        proof = await self._engine.histories.delete_tenant(self._tenant(context))
        return encode_proof(proof, pb.DeleteTenantResponse)

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
            deadline=self._deadline(context),
        )

    def _deadline(self, context: Context) -> float | None:
        left = context.time_remaining()
        return None if left is None else self._clock() + left - REPLY_RESERVE_S

    def _tenant(self, context: Context) -> str:
        tenant = self._tenants.of(context.invocation_metadata() or ())
        return decode_name(tenant, TENANT_KEY, self._engine.described.limits)


async def _decoded(messages: Sequence[pb.Turn], limits: Limits) -> tuple[Turn, ...]:
    if INLINE_TURNS < len(messages) <= limits.message_turns:
        return await asyncio.to_thread(decode_turns, messages, limits)
    return decode_turns(messages, limits)
