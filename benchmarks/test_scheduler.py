"""Micro-benchmarks of the scheduler, and of what else a decision costs, each apart.

    pytest benchmarks/test_scheduler.py --benchmark-json=build/scheduler.json

Groups: `items` (through submit, dispatch and finish), `cancel`, `decisions` (a micro-batch of 256),
and `apart` (one decision's encoder, MLP and scheduling). `per_s` in extra_info is items or
decisions a second at the median. Backbones are in none of them: see benchmarks/load.
"""

# ruff: noqa: D103 - the names of the benchmarks say what is timed

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from numpy.typing import NDArray
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.contenders import CONTENDERS, Contender, plan, work
from benchmarks.machine import describe
from benchmarks.router_shape import (
    INPUT,
    OUTPUT,
    TIERS,
    WIDTH,
    NumpyDecisions,
    choose_with_numpy,
    write_mlp,
)
from budgetmem import _core
from budgetmem.assets import asset_dir
from budgetmem.errors import AssetError
from budgetmem.local_encoder import LocalEncoder
from budgetmem.onnx_session import OnnxSession, open_session
from budgetmem.scheduling import reference
from budgetmem.scheduling.interface import Core, Ids

Features = NDArray[np.float32]
Masks = NDArray[np.uint8]

ARRAY = 256
REPEATS = 4
ENCODER = "minilm-l6-v2"
QUERY = "Where did Ana go after the concert in May?"
CANCELLED = 64


@pytest.fixture
def contender(request: pytest.FixtureRequest) -> Iterator[Contender]:
    opened = CONTENDERS[request.param]()
    yield opened
    opened.close()


def measure(benchmark: BenchmarkFixture, count: int, run: Callable[[], object]) -> None:
    """Times `run`, which handles `count` of what is counted."""
    benchmark(run)
    note(benchmark, count)


def note(benchmark: BenchmarkFixture, count: int) -> None:
    benchmark.extra_info["machine"] = describe()
    if benchmark.stats is not None:
        benchmark.extra_info["per_s"] = count / benchmark.stats.stats.median


FAIR = ["C++ core", "C++ scheduler", "Python core"]
"""Contenders that know tenants, groups and deadlines."""

CASES = [
    *[pytest.param(name, 1, False, id=f"{name}, 1 tenant") for name in CONTENDERS],
    *[pytest.param(name, 8, False, id=f"{name}, 8 tenants") for name in FAIR],
    *[pytest.param(name, 8, True, id=f"{name}, 8 tenants, groups and deadlines") for name in FAIR],
]


@pytest.mark.benchmark(group="items, arrays of 256")
@pytest.mark.parametrize(("contender", "tenants", "marked"), CASES, indirect=["contender"])
def test_items_in_arrays(
    benchmark: BenchmarkFixture, contender: Contender, tenants: int, marked: bool
) -> None:
    items = work(ARRAY, tenants, marked=marked, now=contender.now())
    arrays = [items] * REPEATS
    measure(benchmark, REPEATS * ARRAY, lambda: contender.run(arrays))


@pytest.mark.benchmark(group="items, one by one")
@pytest.mark.parametrize(("contender", "tenants", "marked"), CASES, indirect=["contender"])
def test_items_one_by_one(
    benchmark: BenchmarkFixture, contender: Contender, tenants: int, marked: bool
) -> None:
    items = work(ARRAY, tenants, marked=marked, now=contender.now())
    singles = [items[n : n + 1] for n in range(ARRAY)]
    measure(benchmark, ARRAY, lambda: contender.run(singles))


@pytest.mark.benchmark(group="cancel")
@pytest.mark.parametrize("waiting", [100, 100_000])
@pytest.mark.parametrize("open_core", [_core.Core, reference.Core], ids=["C++ core", "Python core"])
def test_cancelling(
    benchmark: BenchmarkFixture, open_core: Callable[..., Core], waiting: int
) -> None:
    core = open_core(plan(credits=1))
    ids, _ = core.submit(work(waiting, 8, marked=False, now=0), 0)
    rng = np.random.default_rng(0)
    there = list(ids)

    def prepare() -> tuple[tuple[list[Ids]], dict[str, object]]:
        """Takes some that wait, and lets as many others wait in their place."""
        chosen = [there.pop(int(rng.integers(len(there)))) for _ in range(CANCELLED)]
        there.extend(core.submit(work(CANCELLED, 8, marked=False, now=0), 0)[0])
        return ([np.array([id_], dtype=np.uint64) for id_ in chosen],), {}

    def run(chosen: list[Ids]) -> None:
        for id_ in chosen:
            core.cancel(id_)

    benchmark.pedantic(run, setup=prepare, rounds=500)  # type: ignore[no-untyped-call]
    note(benchmark, CANCELLED)


@pytest.fixture
def rows() -> Features:
    return np.random.default_rng(0).normal(size=(ARRAY, WIDTH)).astype(np.float32)


@pytest.fixture
def masks() -> Masks:
    return np.random.default_rng(1).integers(0, 2**TIERS - 1, ARRAY).astype(np.uint8)


@pytest.fixture
def logits() -> Features:
    return np.random.default_rng(2).normal(size=(ARRAY, TIERS)).astype(np.float32)


@pytest.mark.benchmark(group="decisions, 256 added in eighths, taken and chosen")
def test_decisions_in_cpp(
    benchmark: BenchmarkFixture, rows: Features, masks: Masks, logits: Features
) -> None:
    buffer = _core.DecisionBuffer(WIDTH, ARRAY)
    parts = list(zip(np.split(rows, 8), np.split(masks, 8), strict=True))

    def run() -> None:
        for part, mask in parts:
            buffer.add(part, mask)
        batch = buffer.take()
        assert batch is not None
        _core.choose_tiers(logits, batch.masks)

    measure(benchmark, ARRAY, run)


@pytest.mark.benchmark(group="decisions, 256 added in eighths, taken and chosen")
def test_decisions_in_numpy(
    benchmark: BenchmarkFixture, rows: Features, masks: Masks, logits: Features
) -> None:
    buffer = NumpyDecisions()
    parts = list(zip(np.split(rows, 8), np.split(masks, 8), strict=True))

    def run() -> None:
        for part, mask in parts:
            buffer.add(part, mask)
        _, taken = buffer.take()
        choose_with_numpy(logits, taken)

    measure(benchmark, ARRAY, run)


@pytest.mark.benchmark(group="apart")
def test_encoding_one_query(benchmark: BenchmarkFixture) -> None:
    try:
        encoder = LocalEncoder(asset_dir(ENCODER), threads=1)
    except AssetError as exc:
        pytest.skip(str(exc))
    measure(benchmark, 1, lambda: encoder.embed_now([QUERY]))


@pytest.fixture(scope="module")
def mlp(tmp_path_factory: pytest.TempPathFactory) -> OnnxSession:
    path = tmp_path_factory.mktemp("router") / "mlp.onnx"
    write_mlp(path)
    return open_session(path, "cpu", intra_op_threads=1)


@pytest.mark.benchmark(group="apart")
@pytest.mark.parametrize("count", [1, 64])
def test_the_router_mlp(
    benchmark: BenchmarkFixture, mlp: OnnxSession, rows: Features, count: int
) -> None:
    feeds = {INPUT: np.ascontiguousarray(rows[:count])}
    measure(benchmark, count, lambda: mlp.run([OUTPUT], feeds))


@pytest.mark.benchmark(group="apart")
@pytest.mark.parametrize("count", [1, 64])
def test_scheduling_decisions(
    benchmark: BenchmarkFixture, rows: Features, masks: Masks, logits: Features, count: int
) -> None:
    """From features to tiers without the MLP: the buffer, its batch, the choice."""
    buffer = _core.DecisionBuffer(WIDTH, ARRAY)
    part, mask = np.ascontiguousarray(rows[:count]), masks[:count].copy()
    scores = logits[:count].copy()

    def run() -> None:
        buffer.add(part, mask)
        batch = buffer.take()
        assert batch is not None
        _core.choose_tiers(scores, batch.masks)

    measure(benchmark, count, run)


@pytest.mark.benchmark(group="apart")
def test_scheduling_one_call(benchmark: BenchmarkFixture) -> None:
    """One backbone call through the threaded scheduler: two changes of threads and back."""
    contender = CONTENDERS["C++ scheduler"]()
    items = [work(1, 1, marked=False, now=contender.now())]
    measure(benchmark, 1, lambda: contender.run(items))
    contender.close()
