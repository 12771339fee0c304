"""Which cells are made, and that they are made once; workloads, loops and options."""

import asyncio
from collections import Counter

import pytest

from benchmarks.load.measures import OK
from benchmarks.throughput.__main__ import main
from benchmarks.throughput.loops import arrivals, closed
from benchmarks.throughput.report import document, tables
from benchmarks.throughput.results import Journal, Offered
from benchmarks.throughput.rows import CEILING, OURS
from benchmarks.throughput.runs import Bench, Plan
from benchmarks.throughput.service import Service
from benchmarks.throughput.workloads import WORKLOADS
from budgetmem.errors import BackboneError, InvalidInput
from budgetmem.tiers import Tier
from tests.benchmarks.throughput.toys import PROFILE, QUESTIONS, TURNS, models


def test_a_repeat_has_its_own_questions_and_tiers():
    mixed = WORKLOADS["mixed"]
    first = mixed.queries(QUESTIONS, 6, seed=1, repeat=0)
    assert first == mixed.queries(QUESTIONS, 6, seed=1, repeat=0)
    assert first != mixed.queries(QUESTIONS, 6, seed=1, repeat=1)
    assert len({query.text for query in first}) == 6
    assert {tier for query in first for tier in query.tiers.values()} == set(Tier)
    shared = WORKLOADS["shared"].queries(QUESTIONS, 1, seed=1, repeat=0)
    assert set(shared[0].tiers.values()) == {Tier.MID}
    with pytest.raises(InvalidInput, match="9 of only 8"):
        mixed.queries(QUESTIONS, 9, seed=1, repeat=0)


async def test_the_closed_loop_keeps_so_many_under_way():
    asked, under_way, most = [], 0, 0

    async def ask(tenant, number):
        nonlocal under_way, most
        asked.append(number)
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1
        return OK

    times = iter(range(1000))
    samples = await closed(7, 3, ask, lambda: next(times), "ana")
    assert (sorted(asked), most, len(samples)) == (list(range(7)), 3, 7)
    assert all(sample.latency > 0 for sample in samples)


def test_arrivals_are_a_seeded_process_of_that_rate():
    due = arrivals(4000, 5.0, (1, 2), "ana")
    assert due == arrivals(4000, 5.0, (1, 2), "ana")
    assert due != arrivals(4000, 5.0, (1, 3), "ana")
    assert [arrival.question for arrival in due] == list(range(4000))
    assert due[-1].at == pytest.approx(4000 / 5, rel=0.05)


def test_the_ceiling_comes_after_ours_in_every_order():
    rows = (CEILING, "all-at-once", OURS, "reference-shape")
    orders = [Plan(rows, 3, 4, 0, 4, seed).order(0) for seed in range(20)]
    assert all(sorted(order) == sorted(rows) for order in orders)
    assert all(order.index(OURS) < order.index(CEILING) for order in orders)
    assert len({tuple(order) for order in orders}) > 5


async def test_a_cell_without_answers_ends_the_run_and_is_not_kept(tmp_path):
    def refuse(prompt):
        raise BackboneError("gone")

    journal = Journal(tmp_path / "cells.jsonl", {})
    plan = Plan((OURS,), 1, 2, 0, 2, seed=0)
    workload = WORKLOADS["shared"]
    async with Service.opened(PROFILE, models(refuse), workload, tmp_path, 20) as service:
        await service.ingest({"pets": TURNS})
        bench = Bench(plan, service, QUESTIONS, journal, lambda said: None, lambda: None)
        with pytest.raises(BackboneError, match="ours: nothing was answered"):
            await bench.run()
    assert journal.cells() == []


async def test_a_second_run_makes_only_what_is_missing(tmp_path):
    said = []

    async def bench(repeats):
        journal = Journal(tmp_path / "cells.jsonl", {"queries": 3})
        journal.begin("triton 2", {"cores": 2})
        workload = WORKLOADS["shared"]
        plan = Plan((OURS, "all-at-once"), repeats, 3, 1, 2, seed=0)
        async with Service.opened(PROFILE, models(), workload, tmp_path, 20) as service:
            await service.ingest({"pets": TURNS})
            await Bench(plan, service, QUESTIONS, journal, said.append, lambda: None).run()
        return journal

    journal = await bench(1)
    assert [(c.repeat, c.statuses) for c in journal.cells()] == [(0, {OK: 3})] * 2
    await bench(1)
    assert len(said) == 3
    await bench(2)
    assert len(said) == 6
    assert Counter(c.row for c in journal.cells()) == {OURS: 2, "all-at-once": 2}
    ours = [c for c in journal.cells() if c.row == OURS]
    kept = journal.prompts(ours[0].salt)["all"]
    assert len(kept) == ours[0].work["llm_calls"] == 15
    assert kept[0].prompt[: kept[0].shared].endswith("</question>\n")
    assert Journal(tmp_path / "cells.jsonl", {"queries": 4}).cells() == []
    whole = document(journal, Offered(3, 5000, None), {})
    assert (whole["triton"], whole["machine"]) == ("triton 2", {"cores": 2})
    assert [table.row_count for table in tables(whole)] == [2, 2, 1]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--rows", CEILING], "needs the row ours"),
        (["--workload", "local", "--rows", OURS, CEILING], "makes no LLM calls"),
        (["--loop", "open"], "--rate"),
        (["--queries", "0"], "not above 0"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, reason, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["--data", "none.json", *options])
    assert reason in capsys.readouterr().err
