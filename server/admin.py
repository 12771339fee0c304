"""AdminService: protobuf to types and back, nothing else."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc

from budgetmem.proto.budgetmem.v1 import admin_pb2 as pb
from budgetmem.proto.budgetmem.v1.admin_pb2_grpc import AdminServiceServicer
from budgetmem.wire.admin import decode_reload, encode_metrics, encode_reloaded
from server.engine import EngineSlot

Context = grpc.aio.ServicerContext[Any, Any]


class AdminService(AdminServiceServicer):
    """The gRPC service. Until the slot has an engine, every call is ServerUnavailable."""

    def __init__(self, slot: EngineSlot) -> None:
        self._slot = slot

    async def ReloadRouters(
        self, request: pb.ReloadRoutersRequest, context: Context
    ) -> pb.ReloadRoutersResponse:
        strategy = decode_reload(request)
        return encode_reloaded(await self._slot.engine.routers.reload(strategy))

    async def GetMetrics(
        self, request: pb.GetMetricsRequest, context: Context
    ) -> pb.GetMetricsResponse:
        return encode_metrics(await asyncio.to_thread(self._slot.engine.metrics))
