import numpy as np
import pytest

pytest.importorskip("budgetmem._core", reason="the C++ core is not built")

from benchmarks.contenders import CONTENDERS, QUEUES, plan, work
from benchmarks.queueing import Driver, delays
from benchmarks.router_shape import TIERS, WIDTH, NumpyDecisions, choose_with_numpy, write_mlp
from budgetmem import _core
from budgetmem.onnx_session import open_session
from budgetmem.scheduling.interface import NEVER


@pytest.mark.parametrize("name", CONTENDERS)
@pytest.mark.parametrize("marked", [False, True])
def test_every_contender_finishes_all_items(name, marked):
    contender = CONTENDERS[name]()
    items = work(20, 4, marked=marked, now=contender.now())
    contender.run([items, items[:1]])
    contender.close()
    if hasattr(contender, "_core"):
        stats = contender._core.queue_stats()
        assert sum(queue["finished"] for queue in stats) == 21
        assert sum(queue["expired"] + queue["waiting"] for queue in stats) == 0


def test_work_is_over_all_queues_and_tenants():
    items = work(24, 8, marked=True, now=5)
    assert set(items["queue"]) == set(range(QUEUES))
    assert set(items["tenant"]) == set(range(8))
    assert list(items["group"][:4]) == [1, 1, 1, 2]
    assert set(work(3, 1, marked=False, now=5)["deadline"]) == {NEVER}
    assert plan(credits=3).backbones[0].credits == 3


def test_the_driver_reads_an_event_for_each_item():
    driver = Driver(8)
    achieved = driver.offer(rate=4000, seconds=0.1)
    driver.scheduler.close()
    from_due, from_submit = driver.delays()
    assert len(from_due) == len(from_submit) == 400
    assert 0 < achieved <= 4400
    assert (from_due >= from_submit).all()
    assert (from_submit > 0).all()
    assert sum(queue["finished"] for queue in driver.scheduler.queue_stats()) == 400


def test_delays_are_reported_in_microseconds():
    report = delays(1, 500.0, 0.1)
    assert report["items"] == 50
    assert 0 < report["inside_us"]["p50"] <= report["inside_us"]["p99"]
    assert report["from_submit_us"]["p50"] <= report["from_due_us"]["p50"] < 1e6


def test_numpy_and_cpp_choose_the_same():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(500, TIERS)).astype(np.float32)
    masks = rng.integers(0, 2**TIERS, 500).astype(np.uint8)
    chosen, probabilities = choose_with_numpy(logits, masks)
    expected, sure = _core.choose_tiers(logits, masks)
    assert (chosen == expected).all()
    np.testing.assert_allclose(probabilities, sure, atol=1e-6)


def test_numpy_decisions_are_taken_in_order():
    buffer = NumpyDecisions()
    rows = np.arange(6, dtype=np.float32).reshape(3, 2)
    buffer.add(rows[:1], np.array([1], dtype=np.uint8))
    buffer.add(rows[1:], np.array([2, 3], dtype=np.uint8))
    taken, masks = buffer.take()
    assert (taken == rows).all()
    assert list(masks) == [1, 2, 3]
    with pytest.raises(ValueError, match="rows"):
        buffer.add(rows * np.nan, np.zeros(3, dtype=np.uint8))


def test_the_mlp_has_the_routers_shape(tmp_path):
    pytest.importorskip("onnxruntime")
    path = tmp_path / "mlp.onnx"
    write_mlp(path)
    session = open_session(path, "cpu", intra_op_threads=1)
    rows = np.random.default_rng(1).normal(size=(5, WIDTH)).astype(np.float32)
    logits = session.run(["logits"], {"features": rows})["logits"]
    assert logits.shape == (5, TIERS)
    assert np.std(logits) > 0
