"""The tables of docs/scaling.md, in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmarks.capacity.growth import (
    POSTGRES_BYTES_A_TURN,
    SQLITE_BYTES_A_TURN,
    Need,
    Operation,
    history_bytes,
    need,
)
from benchmarks.capacity.hardware import CAUTIOUS, HOPEFUL, MODELS, Efficiency
from benchmarks.capacity.throughput import Device, mixed_gpu_seconds
from benchmarks.capacity.workload import ANSWER, EXTRACTION, LIMITS, MIXES, REPLIES, Tenant, calls
from training.reporting.tables import Table

ENDS: Sequence[tuple[Efficiency, dict[str, int]]] = (
    (CAUTIOUS, dict(LIMITS)),
    (HOPEFUL, dict(REPLIES)),
)
"""The two ends of every range: little of the hardware and replies up to their limits; much of it
and replies as they were measured."""

GROWTH_TENANTS = (100, 10_000, 100_000, 1_000_000)
GROWTH_QUESTIONS = (1.0, 10.0, 100.0)
GROWTH_MIX = "mostly Low (70/20/10)"
LEAST_GPUS = 5
"""One copy of each model, as the profile `gpu` places them."""


@dataclass(frozen=True)
class Range:
    """From the cautious end to the hopeful one."""

    least: float
    most: float

    def __str__(self) -> str:
        ends = dict.fromkeys((short(self.least), short(self.most)))
        return " to ".join(ends)


def short(value: float) -> str:
    """Two digits that count, thousands apart."""
    return f"{float(f'{value:.2g}'):,.10g}"


def gpu_seconds(shares: dict[str, float], parts: tuple[str, ...]) -> Range:
    """Seconds of a GPU that these parts of a question take."""
    hopeful, cautious = sorted(
        mixed_gpu_seconds(
            {name: Device(model, efficiency) for name, model in MODELS.items()},
            shares,
            calls(parts, replies),
        )
        for efficiency, replies in ENDS
    )
    return Range(hopeful, cautious)


def rate(seconds: Range) -> Range:
    """Questions a second of one GPU."""
    return Range(1 / seconds.most, 1 / seconds.least)


def models_table() -> str:
    """What a model does on its GPUs."""
    rows = []
    for model in MODELS.values():
        ends = [(Device(model, each), calls(("summary",), replies)[0]) for each, replies in ENDS]
        read = Range(*(each.flops / model.token_flops / model.gpus for each, _ in ends))
        alone = Range(*(each.alone_tokens_per_second(call) for each, call in ends))
        side_by_side = min(each.sequences(call) for each, call in ends)
        written = Range(
            *(call.reply / each.write_seconds(call) / model.gpus for each, call in ends)
        )
        rows.append(
            (model.name, model.gpus, f"{model.weight_bytes / 1e9:.1f} GB", f"{model.kv_bytes:,}",
             read, alone, side_by_side, written)
        )  # fmt: skip
    header = ("model", "GPUs", "weights", "KV bytes a token", "read, tokens/s a GPU",
              "written, alone", "sequences written side by side",
              "written, tokens/s a GPU")  # fmt: skip
    return markdown(header, rows)


def rates_table() -> str:
    """Questions a second of an H100, by the mix of tiers."""
    rows = []
    for name, shares in MIXES.items():
        seconds = gpu_seconds(dict(shares), EXTRACTION)
        rows.append((name, seconds, rate(seconds), per_million_usd(seconds)))
    answer = gpu_seconds({"high": 1.0}, ANSWER)
    rows.append(("the answer alone, on High", answer, rate(answer), per_million_usd(answer)))
    header = ("module calls", "GPU seconds", "questions/s of an H100", "USD a million questions")
    return markdown(header, rows)


def per_million_usd(seconds: Range) -> Range:
    """What a million questions' GPUs cost at full load, at the price that is assumed."""
    usd = Operation().gpu_usd_an_hour / 3600 * 1e6
    return Range(seconds.least * usd, seconds.most * usd)


def storage_table() -> str:
    """Bytes of histories."""
    rows = [
        (
            f"{turns:,} turn{'s' * (turns > 1)}",
            f"{sqlite / 1e6:,.1f} MB",
            f"{postgres / 1e6:,.1f} MB",
        )
        for turns in (1, 600, 3_000, 200_000)
        for sqlite, postgres in [history_bytes(turns)]
    ]
    return markdown(
        ("a history of", f"SQLite, {SQLITE_BYTES_A_TURN:,} bytes a turn",
         f"PostgreSQL, {POSTGRES_BYTES_A_TURN:,} bytes a turn"), rows)  # fmt: skip


def growth() -> Iterable[tuple[int, float, Need, Need]]:
    """Tenants, questions a day of each, and the need at the two ends."""
    seconds = gpu_seconds(dict(MIXES[GROWTH_MIX]), EXTRACTION)
    for questions in GROWTH_QUESTIONS:
        for tenants in GROWTH_TENANTS:
            tenant = Tenant(questions_a_day=questions)
            cautious, hopeful = (
                need(tenants, tenant, each, LEAST_GPUS) for each in (seconds.most, seconds.least)
            )
            yield tenants, questions, cautious, hopeful


def growth_table() -> str:
    """What grows with tenants, and what a tenant costs."""
    rows = [
        (f"{tenants:,}", f"{questions:g}", short(one.questions_a_second),
         f"{short(one.storage_bytes / 1e9)} GB", f"{one.replicas:,}",
         Range(other.gpus, one.gpus), Range(other.usd_a_month, one.usd_a_month),
         Range(other.usd_a_tenant_month, one.usd_a_tenant_month))
        for tenants, questions, one, other in growth()
    ]  # fmt: skip
    header = ("tenants", "questions a day of each", "questions/s, mean", "stored, two copies",
              "replicas", "H100s", "USD a month", "USD a tenant and month")  # fmt: skip
    return markdown(header, rows)


TABLES = {
    "models": models_table,
    "rates": rates_table,
    "storage": storage_table,
    "growth": growth_table,
}


def markdown(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table."""
    return Table(header, [[str(cell) for cell in row] for row in rows]).markdown() + "\n"
