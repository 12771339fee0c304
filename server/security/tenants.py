"""Where the tenant of a call comes from: from its credential, or, without any, from a header."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol, TypeAlias

import grpc

from budgetmem.errors import PermissionDenied
from budgetmem.wire.requests import TENANT_KEY
from server.security.principal import Principal, caller

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Metadata: TypeAlias = Iterable[tuple[str, str | bytes]]
DEFAULT_TENANT = "default"


class Tenants(Protocol):
    """Tells the tenant of a running call."""

    def of(self, context: Context) -> str: ...


class NamedTenants:
    """Whoever calls says whose histories are meant: for a port that only its owner reaches."""

    def of(self, context: Context) -> str:
        headers = dict(context.invocation_metadata() or ())
        return str(headers.get(TENANT_KEY, DEFAULT_TENANT))


class ProvenTenants:
    """The credential says it, and nothing else. Without a verified caller it is Unauthenticated."""

    def of(self, context: Context) -> str:
        return caller().tenant


def check_named(principal: Principal, metadata: Metadata) -> None:
    """Raises PermissionDenied where the header names any tenant but the credential's own."""
    named = [value for key, value in metadata if key == TENANT_KEY]
    if any(value != principal.tenant for value in named):
        raise PermissionDenied(
            f"{TENANT_KEY} names another tenant than the credential is of: leave it out"
        )
