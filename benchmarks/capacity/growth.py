"""What more tenants need: bytes, replicas, GPUs, money."""

from __future__ import annotations

import math
from dataclasses import dataclass

from benchmarks.capacity.workload import Tenant

SECONDS_A_DAY = 86_400
HOURS_A_MONTH = 730

SQLITE_BYTES_A_TURN = 5_100
POSTGRES_BYTES_A_TURN = 3_900
"""Measured by `python -m benchmarks.store_size`: turns of 25 words, windows of one neighbour,
vectors of 384 floats, all indexes included. PostgreSQL compresses, and was measured without dead
rows: leave room for those."""
FIXED_SQLITE_BYTES = 56_000
"""Of a history's file before its first turn."""

QUESTION_CPU_S = 0.040
"""Of a replica's one event loop: Python that a question runs with all modules on rules
(docs/benchmarks.md, the flood). With LLM calls it is more: that has not been measured."""


@dataclass(frozen=True)
class Operation:
    """How full things are run, and what they cost. Prices are assumed round figures of the market;
    they move, so put in yours."""

    peak: float = 3.0
    """The busiest hour's questions, over the day's mean."""
    gpu_load: float = 0.6
    """Of what a GPU carries, at the peak: the rest keeps queues short."""
    replica_load: float = 0.5
    """Of a replica's loop, at the peak."""
    spare_replicas: int = 1
    gpu_usd_an_hour: float = 2.5
    replica_usd_an_hour: float = 0.05
    """One core and 2 GiB."""
    storage_usd_a_gb_month: float = 0.10
    copies: float = 2.0
    """Of the database's bytes: a standby. Backups come on top."""


@dataclass(frozen=True)
class Need:
    """What so many tenants need. GPUs are fractions: a whole copy of each model is the least."""

    tenants: int
    questions_a_second: float
    storage_bytes: float
    replicas: int
    gpus: float
    usd_a_month: float

    @property
    def usd_a_tenant_month(self) -> float:
        return self.usd_a_month / self.tenants


def history_bytes(turns: int) -> tuple[float, float]:
    """In SQLite, and in PostgreSQL."""
    return FIXED_SQLITE_BYTES + turns * SQLITE_BYTES_A_TURN, turns * POSTGRES_BYTES_A_TURN


def need(
    tenants: int,
    tenant: Tenant,
    gpu_seconds: float,
    least_gpus: int,
    operation: Operation | None = None,
) -> Need:
    """Of tenants whose question takes so many seconds of a GPU; `least_gpus` hold one copy of each
    model, and are there for the first tenant already."""
    run = operation or Operation()
    mean = tenants * tenant.questions_a_day / SECONDS_A_DAY
    peak = mean * run.peak
    replicas = math.ceil(peak * QUESTION_CPU_S / run.replica_load) + run.spare_replicas
    gpus = max(float(least_gpus), peak * gpu_seconds / run.gpu_load)
    stored = tenants * tenant.turns * POSTGRES_BYTES_A_TURN * run.copies
    hourly = replicas * run.replica_usd_an_hour + gpus * run.gpu_usd_an_hour
    monthly = hourly * HOURS_A_MONTH + stored / 1e9 * run.storage_usd_a_gb_month
    return Need(tenants, mean, stored, replicas, gpus, monthly)
