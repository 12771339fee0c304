import pytest

from benchmarks.load.measures import OK
from benchmarks.throughput.results import Cell, Offered, by_row, figures, pairs
from benchmarks.throughput.rows import CEILING, OURS

WORK = {"llm_calls": 8, "prompt_tokens": 30, "output_tokens": 10}


def cell(row, repeat, elapsed_s, latencies_ms=(100.0, 300.0), statuses=None):
    return Cell(row, repeat, 0, "1", elapsed_s, statuses or {OK: 2}, latencies_ms, WORK)


def test_figures_of_a_cell():
    failing = cell(OURS, 0, 4.0, statuses={OK: 2, "UNAVAILABLE": 1})
    row = figures(failing, Offered(queries=4, slo_ms=200, rate=2.0))
    assert (row["queries_per_s"], row["failed"], row["llm_calls"]) == (0.5, 1, 2)
    assert (row["p50_ms"], row["goodput"]) == (200, 0.5)
    assert row["llm_tokens_per_s"] == (30 + 10) / 4.0
    assert figures(failing, Offered(4, 200, None))["goodput"] is None


def test_ratios_are_taken_within_a_repeat():
    cells = [
        cell(OURS, 0, 1.0),
        cell(OURS, 1, 2.0),
        cell(OURS, 2, 9.0),
        cell("all-at-once", 0, 2.0, (200.0, 400.0)),
        cell("all-at-once", 1, 8.0, (100.0, 300.0)),
        cell(CEILING, 0, 0.5, ()),
    ]
    found = pairs(cells, Offered(2, 200, None))
    assert list(found) == ["ours/all-at-once", "ours/ceiling"]
    assert found["ours/all-at-once"]["ratio"]["mean"] == pytest.approx((2 + 4) / 2)
    assert found["ours/all-at-once"]["added_p50_ms"]["mean"] == pytest.approx((-100 + 0) / 2)
    assert found["ours/ceiling"] == {
        "ratio": {"mean": 0.5, "low": 0.5, "high": 0.5, "n": 1},
        "added_p50_ms": None,
    }
    assert list(by_row(cells, Offered(2, 200, None))) == ["all-at-once", OURS, CEILING]
