"""Which scope each RPC needs. One that is not in the table is refused to everybody."""

from __future__ import annotations

from collections.abc import Mapping

from budgetmem.errors import PermissionDenied
from budgetmem.proto.budgetmem.v1 import admin_pb2, memory_pb2
from server.security.principal import Principal, Scope

_MEMORY = memory_pb2.DESCRIPTOR.services_by_name["MemoryService"].full_name
_ADMIN = admin_pb2.DESCRIPTOR.services_by_name["AdminService"].full_name

SCOPES: Mapping[str, Scope] = {
    f"/{_MEMORY}/Ingest": Scope.WRITE,
    f"/{_MEMORY}/Extract": Scope.READ,
    f"/{_MEMORY}/ExtractStream": Scope.READ,
    f"/{_MEMORY}/Answer": Scope.READ,
    f"/{_MEMORY}/ListHistories": Scope.READ,
    f"/{_MEMORY}/ExportHistory": Scope.READ,
    f"/{_MEMORY}/DeleteHistory": Scope.WRITE,
    f"/{_MEMORY}/DeleteTurns": Scope.WRITE,
    f"/{_MEMORY}/DeleteTenant": Scope.WRITE,
    f"/{_MEMORY}/GetInfo": Scope.READ,
    f"/{_ADMIN}/ReloadRouters": Scope.ADMIN,
    f"/{_ADMIN}/GetMetrics": Scope.ADMIN,
}

OPEN_SERVICES = frozenset({"grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"})
"""Called by load balancers and tools, which have no credential. Neither tells of any tenant, and
reflection is there only where it was asked for."""


def is_open(method: str) -> bool:
    """Whether anybody may call `/package.Service/Method`."""
    return method.lstrip("/").rpartition("/")[0] in OPEN_SERVICES


def check_scope(principal: Principal, method: str) -> None:
    """Raises PermissionDenied where the caller may not call `/package.Service/Method`."""
    needed = SCOPES.get(method)
    if needed is None:
        raise PermissionDenied("no credential allows this call")
    if needed not in principal.scopes:
        raise PermissionDenied(
            f"this call needs the scope {needed.value!r}, which the credential does not have"
        )
