"""What was measured so far, one JSON line a cell, and what it says."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from benchmarks.load.measures import OK, percentile
from benchmarks.throughput.rows import ABOUT, CEILING, OURS
from budgetmem.backbone import GenerationRequest
from budgetmem.errors import ConfigError
from training.statistics import of_repeats

Setting = Mapping[str, Any]
"""Everything chosen that changes the figures: lines of another setting are passed over."""


@dataclass(frozen=True)
class Cell:
    """One row in one repeat. `place` is its place in the repeat's order, from 0.

    `latencies_ms` are of the answered queries, from the intended send. `work` are the counters of
    a Tally. `fallbacks` counts steps by module that ended on another rung than the chosen one.
    `best` is the order that the ceiling ended with, by backbone.
    """

    row: str
    repeat: int
    place: int
    salt: str
    elapsed_s: float
    statuses: Mapping[str, int]
    latencies_ms: Sequence[float] = ()
    work: Mapping[str, int] = field(default_factory=dict)
    fallbacks: Mapping[str, int] = field(default_factory=dict)
    best: Mapping[str, Any] = field(default_factory=dict)

    @property
    def answered(self) -> int:
        return self.statuses.get(OK, 0)

    @property
    def failed(self) -> int:
        return sum(self.statuses.values()) - self.answered


class Journal:
    """The lines of one setting in a file that may hold others."""

    def __init__(self, path: Path, setting: Setting) -> None:
        self._path = path
        self._context: Mapping[str, Any] = {}
        # As it will be read back: tuples are lists there.
        self.setting: Setting = json.loads(json.dumps(setting))

    def begin(self, triton: str, machine: Mapping[str, object]) -> None:
        """From now on cells are those of this start of the models, on this machine."""
        start = datetime.now(timezone.utc).isoformat(timespec="seconds")
        self._context = {"start": start, "triton": triton, "machine": machine}

    def lines(self) -> list[dict[str, Any]]:
        """As written, oldest first."""
        if not self._path.exists():
            return []
        lines = [json.loads(line) for line in self._path.read_text(encoding="utf-8").splitlines()]
        return [line for line in lines if line["setting"] == self.setting]

    def cells(self) -> list[Cell]:
        """What was measured so far, oldest first."""
        return [Cell(**line["cell"]) for line in self.lines()]

    def keep(self, cell: Cell) -> None:
        """Appends a cell; `begin` comes first."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        line = {"setting": self.setting, **self._context, "cell": asdict(cell)}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def keep_prompts(self, salt: str, prompts: Mapping[str, Sequence[GenerationRequest]]) -> None:
        """Writes the requests of the cell with this salt, by backbone, beside the cells."""
        file = self._prompts_of(salt)
        file.parent.mkdir(parents=True, exist_ok=True)
        plain = {key: [asdict(each) for each in requests] for key, requests in prompts.items()}
        file.write_text(json.dumps(plain), encoding="utf-8")

    def prompts(self, salt: str) -> dict[str, list[GenerationRequest]]:
        """What `keep_prompts` wrote. Raises ConfigError if it is gone."""
        file = self._prompts_of(salt)
        if not file.exists():
            raise ConfigError(
                f"{file} is gone, which a ceiling needs: take the line of the salt {salt} "
                f"out of {self._path}, and its row is measured again"
            )
        plain = json.loads(file.read_text(encoding="utf-8"))
        return {
            key: [GenerationRequest(**{**each, "stop": tuple(each["stop"])}) for each in requests]
            for key, requests in plain.items()
        }

    def _prompts_of(self, salt: str) -> Path:
        return self._path.with_suffix(".prompts") / f"{salt}.json"


@dataclass(frozen=True)
class Offered:
    """What was offered: `rate` is queries/s of the open loop, None of the closed one."""

    queries: int
    slo_ms: float
    rate: float | None


def figures(cell: Cell, offered: Offered) -> dict[str, float | None]:
    """The figures of one cell. Rates are per second of the whole run, its tail included.

    `goodput` counts answers within the objective, per second of the time over which the open loop
    sends (in the mean); a ceiling has neither latencies nor goodput. `llm_tokens_per_s` are prompt
    and output tokens: rows differ in how long the replies are that they happen to get. Tokens,
    calls and texts by themselves are a query. None: does not apply.
    """
    good = sum(latency <= offered.slo_ms for latency in cell.latencies_ms)
    seconds = [latency / 1e3 for latency in cell.latencies_ms]
    open_loop = offered.rate is not None and cell.row != CEILING
    return {
        "queries_per_s": cell.answered / cell.elapsed_s,
        "llm_tokens_per_s": (cell.work.get("prompt_tokens", 0) + cell.work.get("output_tokens", 0))
        / cell.elapsed_s,
        "p50_ms": percentile(seconds, 50),
        "p95_ms": percentile(seconds, 95),
        "goodput": good * (offered.rate or 0) / offered.queries if open_loop else None,
        "failed": float(cell.failed),
        "fallbacks": sum(cell.fallbacks.values()) / offered.queries,
        **{name: value / offered.queries for name, value in cell.work.items()},
    }


def by_row(cells: Sequence[Cell], offered: Offered) -> dict[str, dict[str, Any]]:
    """Means over repeats with intervals, by row in the order of the table."""
    rows = {name: [c for c in cells if c.row == name] for name in ABOUT}
    return {
        name: _means([figures(c, offered) for c in of_row])
        for name, of_row in rows.items()
        if of_row
    }


def pairs(cells: Sequence[Cell], offered: Offered) -> dict[str, dict[str, Any]]:
    """`ours` against every other row, within the repeats that have both.

    `ratio` is of queries/s, above 1 where `ours` is faster; `added_p50_ms` is the median latency of
    `ours` less that of the other.
    """
    repeats = {
        name: {c.repeat: figures(c, offered) for c in cells if c.row == name} for name in ABOUT
    }
    return {
        f"{OURS}/{other}": {
            "ratio": _paired(repeats[OURS], repeats[other], "queries_per_s", _ratio),
            "added_p50_ms": _paired(repeats[OURS], repeats[other], "p50_ms", _difference),
        }
        for other in ABOUT
        if other != OURS and repeats[OURS].keys() & repeats[other].keys()
    }


Figures = Mapping[int, Mapping[str, float | None]]


def _paired(
    ours: Figures, other: Figures, name: str, compare: Callable[[float, float], float | None]
) -> dict[str, Any] | None:
    values = [
        value
        for repeat in sorted(ours.keys() & other.keys())
        if (a := ours[repeat][name]) is not None
        and (b := other[repeat][name]) is not None
        and (value := compare(a, b)) is not None
    ]
    return of_repeats(values).report() if values else None


def _ratio(ours: float, other: float) -> float | None:
    return ours / other if other > 0 else None


def _difference(ours: float, other: float) -> float:
    return ours - other


def _means(rows: Sequence[Mapping[str, float | None]]) -> dict[str, Any]:
    names = dict.fromkeys(name for row in rows for name in row)
    values = {name: [v for row in rows if (v := row.get(name)) is not None] for name in names}
    return {name: of_repeats(v).report() if v else None for name, v in values.items()}
