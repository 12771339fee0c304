import argparse
import asyncio
import math

import numpy as np
import pytest

from benchmarks.load import __main__ as main
from benchmarks.load import runs
from benchmarks.load.arrivals import Arrival, poisson
from benchmarks.load.generator import circle, replay, status_of
from benchmarks.load.journal import Journal, Record
from benchmarks.load.measures import REFUSED, Sample, Window, measure, percentile
from benchmarks.load.report import flood_report, flood_table, sweep_rows, sweep_table
from budgetmem.errors import InvalidInput

LATE = "DEADLINE_EXCEEDED"


def sample(at, latency, status="OK", tenant="tenant-1", lag=0.0):
    return Sample(tenant, at, at + lag, at + latency, status)


class Clock:
    """Time that passes only where somebody sleeps; `stall` is added to every sleep."""

    def __init__(self, stall=0.0):
        self.now = 100.0
        self.stall = stall

    def __call__(self):
        return self.now

    async def sleep(self, seconds):
        await asyncio.sleep(0)
        self.now += seconds + self.stall


def test_arrivals_are_poisson_at_their_rate():
    arrivals = poisson({"a": 50.0}, 200, 30, (1,))
    gaps = np.diff([arrival.at for arrival in arrivals])
    assert len(arrivals) == pytest.approx(10_000, rel=0.03)
    assert gaps.mean() == pytest.approx(1 / 50, rel=0.03)
    assert gaps.std() == pytest.approx(1 / 50, rel=0.05)
    assert all(0 <= arrival.at < 200 for arrival in arrivals)


def test_arrivals_are_seeded_and_go_through_all_questions():
    first = poisson({"a": 5.0, "b": 5.0}, 20, 7, (1, 2))
    assert first == poisson({"a": 5.0, "b": 5.0}, 20, 7, (1, 2))
    assert first != poisson({"a": 5.0, "b": 5.0}, 20, 7, (1, 3))
    asked = [arrival.question for arrival in first if arrival.tenant == "b"]
    assert sorted(asked[:7]) == list(range(7))
    assert asked[7:14] == asked[:7]
    assert [a.at for a in first] == sorted(a.at for a in first)


def test_a_flood_leaves_the_arrivals_of_the_others_as_they_were():
    alone, flooded = runs.flood(8.0, repeats=1)
    quiet = [poisson(run.offers, 10, 9, (0,)) for run in (alone, flooded)]
    kept = [[a for a in arrivals if a.tenant != "tenant-8"] for arrivals in quiet]
    assert kept[0] == kept[1] == list(quiet[0])
    assert sum(alone.offers.values()) == pytest.approx(4)
    assert flooded.offers["tenant-8"] == 32


def test_a_tenant_without_a_rate_asks_nothing():
    assert poisson({"a": 0.0}, 10, 3, (0,)) == ()


async def test_latency_counts_from_when_a_question_was_due():
    clock = Clock(stall=0.25)
    asked = []

    async def ask(tenant, question):
        asked.append((tenant, question))
        clock.now += 0.5
        return "OK"

    arrivals = [Arrival(1.0, "a", 3), Arrival(1.1, "b", 4)]
    first, second = await replay(arrivals, ask, clock, clock.sleep)
    assert asked == [("a", 3), ("b", 4)]
    assert (first.intended, first.sent) == (1.0, 1.25)
    assert first.latency == pytest.approx(0.75)
    # The generator was 0.9 s late with the second one: that is part of its latency.
    assert second.sent == pytest.approx(2.0)
    assert second.latency == pytest.approx(1.4)


async def test_questions_are_sent_though_nothing_is_answered():
    clock = Clock()
    answered = asyncio.Event()
    asked = []

    async def ask(tenant, question):
        asked.append(clock() - 100)
        if len(asked) == 3:
            answered.set()
        await answered.wait()
        return "OK"

    await replay([Arrival(at, "a", 0) for at in (1.0, 2.0, 3.0)], ask, clock, clock.sleep)
    assert asked == pytest.approx([1, 2, 3])


async def test_a_closed_loop_keeps_its_workers_busy():
    clock = Clock()
    asked = []
    busy = set()
    most = 0

    async def ask(question):
        nonlocal most
        asked.append(question)
        busy.add(question)
        most = max(most, len(busy))
        await clock.sleep(1.0)
        busy.remove(question)
        return "OK"

    rounds = await circle(2, 6.0, ask, clock)
    # The clock moves by a second a call, so the second worker begins its last one at second 5.
    assert asked == list(range(7))
    assert most == 2
    assert [finished for _, finished, _ in rounds] == [1, 2, 3, 4, 5, 6, 7]


def test_measures():
    samples = [
        sample(0.5, 0.1),  # warm-up
        *[sample(1 + i / 10, 0.2) for i in range(8)],
        sample(2.0, 0.9, lag=0.05),
        sample(2.5, 5.0, LATE),
        sample(2.6, 0.001, REFUSED),
        sample(2.9, 0.2),  # answered after the end
    ]
    found = measure(samples, Window(1, 3), slo_s=0.5)
    assert (found.offered, found.sent, found.answered, found.goodput) == (6.0, 6.0, 4.5, 4.5)
    assert (found.refused, found.failed) == (0.5, 0.5)
    assert found.statuses == {"OK": 10, LATE: 1, REFUSED: 1}
    assert found.p50_ms == pytest.approx(200)
    # Eleven samples, the refused one is none of them: the timeout is their highest.
    assert found.p95_ms == pytest.approx(1e3 * (0.9 + 5.0) / 2)
    assert found.lag_p99_ms == pytest.approx(50 * (0.99 * 11 - 10))


def test_no_samples_are_no_latency():
    found = measure([sample(1, 0.1, REFUSED)], Window(0, 2), 1)
    assert (found.p50_ms, found.answered, found.refused) == (None, 0, 0.5)
    assert percentile([], 50) is None
    assert percentile([0.001, 0.003], 50) == 2.0


def test_an_error_that_did_not_reach_grpc_keeps_its_name():
    assert status_of(InvalidInput("tenant", "bad")) == "InvalidInput"


def test_a_sweep_goes_through_all_rates_in_each_repeat():
    planned = list(runs.sweep([1.0, 8.0], runs.tenants(8), 2))
    assert [(run.label, run.repeat) for run in planned] == [
        ("1/s", 0),
        ("8/s", 0),
        ("1/s", 1),
        ("8/s", 1),
    ]
    assert planned[1].offers == dict.fromkeys(runs.tenants(8), 1.0)


def test_the_journal_gives_back_its_own_setting_only(tmp_path):
    path = tmp_path / "runs" / "load.jsonl"
    journal = Journal(path, {"seed": 0, "rates": (1, 2)})
    assert (journal.saturation(), journal.records()) == (None, [])
    [run] = runs.sweep([2.0], ["a"], 1)
    journal.keep_saturation(3.5)
    journal.keep(run, [sample(1, 0.25)])
    again = Journal(path, {"seed": 0, "rates": (1, 2)})
    assert again.saturation() == 3.5
    [record] = again.records()
    assert (record.run, record.samples) == (run, (sample(1, 0.25),))
    assert record.machine["cores"] >= 1
    assert Journal(path, {"seed": 1, "rates": (1, 2)}).records() == []


def records(planned, samples_of):
    return [Record(run, tuple(samples_of(run)), {}) for run in planned]


def test_the_sweep_has_a_row_a_rate_with_intervals():
    planned = runs.sweep([4.0, 1.0], ["tenant-1"], 2)
    rows = sweep_rows(
        records(planned, lambda run: [sample(1, 0.1 * (1 + run.repeat), LATE)]), Window(0, 2), 1
    )
    assert [row["rate"] for row in rows] == [1, 4]
    assert rows[0]["p50_ms"]["mean"] == pytest.approx(150)
    assert rows[0]["p50_ms"]["n"] == 2
    assert rows[0]["statuses"] == {LATE: 2}
    assert sweep_table(rows).row_count == 2


def test_the_flood_report_compares_the_quiet_tenants_only():
    def samples_of(run):
        answered = 8 if run.label == runs.ALONE else 6
        quiet = [sample(1, 0.1, tenant=f"tenant-{1 + i % 7}") for i in range(answered)]
        return quiet + [sample(1, 0.1, tenant="tenant-8")] * (100 if run.label != runs.ALONE else 0)

    report = flood_report(records(runs.flood(8.0, 3), samples_of), Window(0, 2), 1)
    assert report["kept"]["answered"]["mean"] == pytest.approx(0.75)
    assert report["kept"]["goodput"]["n"] == 3
    assert report["flooding tenant"]["answered"]["mean"] == pytest.approx(50)
    assert math.isclose(report["alone"]["answered"]["mean"], 4)
    assert flood_table(report).row_count == 4
    assert flood_report([], Window(0, 2), 1) == {}


def test_runs_of_other_code_are_other_runs(tmp_path, monkeypatch):
    args = argparse.Namespace(data=tmp_path / "locomo10.json", seconds=8.0)
    for code in ("one", "two"):
        monkeypatch.setattr(main, "code_hash", lambda code=code: code)
        journal = Journal(tmp_path / "runs.jsonl", main._setting(args))
        journal.keep_saturation(8.0 if code == "one" else 9.0)
    assert journal.saturation() == 9.0
    monkeypatch.setattr(main, "code_hash", lambda: "one")
    assert Journal(tmp_path / "runs.jsonl", main._setting(args)).saturation() == 8.0
