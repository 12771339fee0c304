"""Where the tenant of a call comes from: from its credential, or, without any, from a header."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeAlias

from budgetmem.errors import PermissionDenied
from budgetmem.wire.requests import TENANT_KEY
from server.security.principal import Principal, caller

Metadata: TypeAlias = Iterable[tuple[str, str | bytes]]
DEFAULT_TENANT = "default"


class Tenants(Protocol):
    """Tells the tenant of a running call, of whose metadata."""

    def of(self, metadata: Metadata) -> str: ...


class NamedTenants:
    """Whoever calls says whose histories are meant: for a port that only its owner reaches."""

    def of(self, metadata: Metadata) -> str:
        return str(dict(metadata).get(TENANT_KEY, DEFAULT_TENANT))


class ProvenTenants:
    """The credential says it, and nothing else. Without a verified caller it is Unauthenticated."""

    def of(self, metadata: Metadata) -> str:
        return caller().tenant


def check_named(principal: Principal, metadata: Metadata) -> None:
    """Raises PermissionDenied where the header names any tenant but the credential's own."""
    named = [value for key, value in metadata if key == TENANT_KEY]
    if any(value != principal.tenant for value in named):
        raise PermissionDenied(
            f"{TENANT_KEY} names another tenant than the credential is of: leave it out"
        )
