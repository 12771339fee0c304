"""Which verb and path stands for which RPC: one table."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from budgetmem.proto.budgetmem.v1 import admin_pb2, memory_pb2

WHOLE = "*"
"""The body is the whole request message."""

SERVICES = (
    memory_pb2.DESCRIPTOR.services_by_name["MemoryService"],
    admin_pb2.DESCRIPTOR.services_by_name["AdminService"],
)
_METHODS: Mapping[str, MethodDescriptor] = {
    method.name: method for service in SERVICES for method in service.methods
}


@dataclass(frozen=True)
class Route:
    """As google.api.http has it: `body` names the field of the request that the body is.

    WHOLE is the request itself, None no body at all. What the path names belongs to the same
    message as the body.
    """

    rpc: str
    verb: str
    path: str
    body: str | None = None

    @property
    def method(self) -> MethodDescriptor:
        """The RPC."""
        return _METHODS[self.rpc]

    @property
    def params(self) -> tuple[str, ...]:
        """What the path names."""
        return tuple(re.findall(r"{(\w+)}", self.path))

    @property
    def grpc_path(self) -> str:
        """`/package.Service/Method`."""
        return f"/{self.method.containing_service.full_name}/{self.rpc}"

    def new_request(self) -> tuple[Message, Message]:
        """An empty request, and the part of it that the body and the path fill."""
        whole: Message = GetMessageClass(self.method.input_type)()
        return whole, whole if self.body in {None, WHOLE} else getattr(whole, str(self.body))


ROUTES = (
    Route("Ingest", "POST", "/v1/histories/{history}:ingest", WHOLE),
    Route("Extract", "POST", "/v1/histories/{history}:extract", WHOLE),
    Route("ExtractStream", "POST", "/v1/histories/{history}:extractStream", WHOLE),
    Route("Answer", "POST", "/v1/histories/{history}:answer", "extract"),
    Route("ListHistories", "GET", "/v1/histories"),
    Route("ExportHistory", "GET", "/v1/histories/{history}/turns"),
    Route("DeleteHistory", "DELETE", "/v1/histories/{history}"),
    Route("DeleteTurns", "POST", "/v1/histories/{history}:deleteTurns", WHOLE),
    # Not DELETE /v1/histories: that is what deleting one history becomes when a script's variable
    # for its name is empty.
    Route("DeleteTenant", "DELETE", "/v1/tenant"),
    Route("GetInfo", "GET", "/v1/info"),
    Route("ReloadRouters", "POST", "/v1/routers:reload", WHOLE),
    Route("GetMetrics", "GET", "/v1/metrics"),
)
