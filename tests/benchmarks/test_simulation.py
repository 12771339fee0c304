import json
import sys

import pytest

from benchmarks.load.arrivals import Arrival, poisson
from benchmarks.load.measures import REFUSED, Window
from benchmarks.load.runs import ALONE, FLOODED
from benchmarks.simulation import __main__ as command
from benchmarks.simulation.engines import BatchingEngine, ContinuousEngine, Job
from benchmarks.simulation.experiments import Experiment, saturation_of
from benchmarks.simulation.parameters import (
    ARMS,
    MODELS,
    Batching,
    Call,
    Continuous,
    Setup,
    ceiling,
)
from benchmarks.simulation.simulator import EXPIRED, simulate
from budgetmem.scheduling.reference import Core

MS = 1_000_000
GROUPS, NO_GROUPS, FIFO = ARMS
QUICK = Continuous(prefill=1e5, step_s=1e-3, per_sequence_s=1e-4, slots=8, chunk=1000)


def events(engine):
    """Milliseconds with what happened then, until the engine is idle."""
    found = []
    while (now := engine.next_event()) is not None:
        progress = engine.advance(now)
        if progress.first_tokens or progress.finished:
            found.append((now / MS, progress.first_tokens, progress.finished))
    return found


def job(id_, query=1, **tokens):
    return Job(id_, query, Call(**tokens))


def test_a_batch_takes_a_plus_b_n():
    engine = BatchingEngine(Batching(a_s=0.01, b_s=0.001, items=4), 2)
    engine.start([job(n, own=5, reply=5) for n in (1, 2, 3)], 0)
    engine.start([job(4, own=5, reply=5)], 1 * MS)
    assert events(engine) == [(12, (), (4,)), (13, (), (1, 2, 3))]


def test_an_iteration_reads_and_decodes():
    engine = ContinuousEngine(QUICK, 1)
    engine.start([job(1, own=500, reply=3)], 0)
    # Reading: 1 ms and 500 tokens at 100 a millisecond. Then two iterations of 1.1 ms.
    assert events(engine) == [(6, (1,), ()), (8.2, (), (1,))]


def test_a_long_prompt_is_read_in_chunks():
    engine = ContinuousEngine(QUICK, 1)
    engine.start([job(1, own=1500, reply=1)], 0)
    assert events(engine) == [(17, (1,), (1,))]


def test_a_prefix_is_read_again_unless_it_was_read_before():
    side_by_side = ContinuousEngine(QUICK, 1)
    side_by_side.start([job(n, shared=400, own=100, reply=1) for n in (1, 2)], 0)
    assert events(side_by_side) == [(11, (1, 2), (1, 2))]
    led = ContinuousEngine(QUICK, 1)
    led.start([job(1, shared=400, own=100, reply=1)], 0)
    assert events(led) == [(6, (1,), (1,))]
    led.start([job(2, shared=400, own=100, reply=1), job(3, 2, shared=400, own=1, reply=1)], 6 * MS)
    assert events(led) == [(pytest.approx(6 + 1 + 5.01), (2, 3), (2, 3))]


def test_prefixes_are_forgotten_in_the_order_of_their_use():
    engine = ContinuousEngine(Continuous(1e5, 1e-3, 0, slots=8, chunk=1000, prefixes=1), 1)
    for number, query in enumerate((1, 2, 1), 1):
        engine.start([job(number, query, shared=900, own=100, reply=1)], 0)
        [(at, _, _)] = events(engine)
        assert at == 11


def test_a_sibling_goes_where_its_prefix_is():
    engine = ContinuousEngine(QUICK, 3)
    engine.start([job(1, 7, own=1, reply=900), job(2, 8, shared=9, own=1, reply=900)], 0)
    engine.advance(engine.next_event())
    engine.advance(engine.next_event())
    assert [engine._place(job(3, query, shared=9, own=1, reply=1)) for query in (7, 8)] == [2, 1]


def one(arm, at=(0.0,), setup=None):
    arrivals = [Arrival(time, "a", 0) for time in at]
    return simulate(setup or Setup(QUICK, 1), arm, arrivals, Core)


def test_a_query_is_three_stages_one_after_the_other():
    [sample] = one(NO_GROUPS)
    # 600 tokens in one iteration, 15 more tokens; three prompts of 1,300 in four iterations, of
    # which the first is done after two, and so on.
    assert sample.status == "OK"
    filtered = 1e-3 + 600 / 1e5 + 15 * 1.1e-3
    summed = 1e-3 + 400 / 1e5 + 63 * 1.1e-3
    assert sample.latency > filtered + summed + 3900 / 1e5 + 47 * 1.1e-3
    assert sample.latency < filtered + summed + 3900 / 1e5 + 47 * 1.5e-3


def test_a_leader_saves_reading_the_prefix_twice():
    led, unled = (one(arm)[0].latency for arm in (GROUPS, NO_GROUPS))
    # 2,400 tokens less to be read; when the siblings are read, the leader is replying already.
    assert unled - led == pytest.approx(2400 / 1e5, abs=2e-3)


def test_too_many_are_refused_and_the_late_expire():
    arrivals = [number * 1e-6 for number in range(46)]
    full = one(NO_GROUPS, arrivals, Setup(QUICK, 1, capacity=24, tenant_capacity=24))
    # Eight run, 24 wait.
    assert [sample.status for sample in full].count(REFUSED) == 46 - 8 - 24
    late = one(GROUPS, sorted([*arrivals, *arrivals]), Setup(QUICK, 1, timeout_s=0.5))
    assert {sample.status for sample in late} == {"OK", EXPIRED}
    assert len(late) == 92


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_every_query_ends_once(model):
    setup = Setup(model, 2, timeout_s=20, capacity=64, tenant_capacity=32)
    rate = 3 * 2 * ceiling(model)
    arrivals = poisson({"a": rate / 2, "b": rate / 2}, 300 / rate, 1, (5,))
    for arm in ARMS:
        samples = simulate(setup, arm, arrivals, Core)
        assert sorted(s.intended for s in samples) == [a.at for a in arrivals]
        assert samples == simulate(setup, arm, arrivals, Core)


def test_the_cpp_core_decides_the_same():
    core = pytest.importorskip("budgetmem._core", reason="the C++ core is not built")
    setup = Setup(QUICK, 2, timeout_s=1, capacity=64, tenant_capacity=16)
    arrivals = poisson(dict.fromkeys("abcd", 20.0), 5, 1, (9,))
    for arm in ARMS:
        assert simulate(setup, arm, arrivals, core.Core) == simulate(setup, arm, arrivals, Core)


def experiment(repeats=1):
    setup = Setup(QUICK, 1, timeout_s=5, slo_s=1)
    return Experiment(setup, Window(1, 7), seed=0, repeats=repeats, open_core=Core)


def test_nobody_answers_more_than_the_ceiling():
    most = ceiling(QUICK)
    rows = experiment().sweep([most / 4, 2 * most])
    assert [(row["arm"], round(row["rate"] / most, 2)) for row in rows[:2]] == [
        ("groups", 0.25),
        ("groups", 2),
    ]
    assert 0.5 * most < saturation_of(rows) <= most
    assert rows[0]["goodput"]["mean"] == pytest.approx(rows[0]["offered"]["mean"])


def test_fairness_keeps_the_others_goodput_in_a_flood():
    rows = {row["arm"]: row for row in experiment(repeats=2).flood(0.7 * ceiling(QUICK))}
    assert rows["groups"]["kept"]["goodput"]["mean"] > 0.9
    assert rows["FIFO"]["kept"]["goodput"]["mean"] < 0.5
    assert rows["FIFO"][ALONE]["goodput"]["mean"] > rows["FIFO"][FLOODED]["goodput"]["mean"]


def test_the_command_says_simulation_and_stores_its_parameters(tmp_path, monkeypatch, capsys):
    options = "--core reference --model batching --instances 1 --seconds 2 --warmup-s 0 --repeats 1"
    output = tmp_path / "simulation.json"
    argv = ["simulation", *options.split(), "--rates", "20", "--output", str(output), "--json"]
    monkeypatch.setattr(sys, "argv", argv)
    command.main()
    printed = json.loads(capsys.readouterr().out)
    stored = json.loads(output.read_text())
    assert printed == stored
    assert stored["label"].startswith("SIMULATION")
    assert stored["parameters"]["model"] == {"a_s": 0.02, "b_s": 0.002, "items": 32}
    assert len(stored["sweep"]) == len(stored["flood"]) == 3
