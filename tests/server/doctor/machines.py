"""A machine that lacks nothing, and what is found of one."""

from __future__ import annotations

from server.doctor.checks import examine
from server.doctor.findings import Finding, Wanted
from server.doctor.machine import Machine

FINE = Machine(
    python=(3, 11),
    system="Linux",
    processor="x86_64",
    cores=4,
    cpu_flags=frozenset({"avx2", "avx512f"}),
    memory_bytes=32 * 10**9,
    shared_memory_bytes=10**9,
    sqlite=(3, 45, 0),
    fts5=True,
)


def found(wanted: Wanted, machine: Machine = FINE) -> dict[str, Finding]:
    """The findings, by what was checked; of several, the last."""
    return {finding.check: finding for finding in examine(wanted, machine)}
