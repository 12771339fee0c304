"""Tenants' names as the numbers that a scheduler core knows them by."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class _Tenant:
    number: int
    live: int = 0


class Tenants:
    """Gives each name a uint32 for as long as it has live items, so that names do not pile up."""

    def __init__(self) -> None:
        self._tenants: dict[str, _Tenant] = {}
        self._next = 0

    def __len__(self) -> int:
        return len(self._tenants)

    def acquire(self, name: str) -> int:
        """Counts one more live item of this tenant and returns its number."""
        tenant = self._tenants.get(name)
        if tenant is None:
            tenant = self._tenants[name] = _Tenant(self._next)
            self._next = (self._next + 1) % 2**32
        tenant.live += 1
        return tenant.number

    def release(self, name: str) -> None:
        """One live item less; with the last one the name is forgotten."""
        tenant = self._tenants[name]
        tenant.live -= 1
        if not tenant.live:
            del self._tenants[name]
