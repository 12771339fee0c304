"""Micro-benchmarks of the trained router, the encoder apart.

    pytest benchmarks/test_router.py --benchmark-json=build/router.json

A batch of 256 decisions on one thread: `graph` is ONNX Runtime alone, `score` with the rows cut
into its inputs, `choose` from the batch's rows to tiers (buffer, executor, event loop). `per_s` in
extra_info is decisions a second at the median. `features` is one decision's reading of a state.
"""

# ruff: noqa: D103 - the names of the benchmarks say what is timed

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.machine import describe
from budgetmem.features import NAMES, observe
from budgetmem.policy_router import CAPACITY, PolicyRouter, RowLayout
from budgetmem.router_artifact import Artifact, encoder_sha256
from budgetmem.router_book import random_decisions
from budgetmem.router_graph import OUTPUT
from budgetmem.scheduling.decisions import DecisionBatcher
from budgetmem.tiers import Tier
from training.export_onnx import export
from training.policies import ConditionedPolicy, PolicyShape

BATCH = 256
DIMENSION = 384
FEATURES = 50
SHAPES = [(32, 64), (64, 128), (128, 256)]
"""Widths of the embeddings' projection and of the hidden layers; the first is the default."""

Rows = NDArray[np.float32]


def measure(benchmark: BenchmarkFixture, count: int, run: Callable[[], object]) -> None:
    """Times `run`, which makes `count` decisions."""
    benchmark(run)
    benchmark.extra_info["machine"] = describe()
    if benchmark.stats is not None:
        benchmark.extra_info["per_s"] = count / benchmark.stats.stats.median


@pytest.fixture(scope="module")
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


@pytest.fixture(
    scope="module", params=SHAPES, ids=lambda shape: f"projection {shape[0]}, hidden {shape[1]}"
)
def artifact(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    torch.manual_seed(0)
    projection, hidden = request.param
    shape = PolicyShape(DIMENSION, FEATURES, projection=projection, hidden=hidden)
    card = {
        "strategy": "capacity",
        "profile": "small",
        "encoder": {
            "name": "minilm-l6-v2",
            "dimension": DIMENSION,
            "sha256": encoder_sha256("minilm-l6-v2"),
        },
        "features": list(NAMES[:FEATURES]),
        "cost_weight": {"min": 0.0, "max": 0.9},
        "training": {},
        "metrics": {},
        "licence": "none: an untrained policy",
    }
    folder: Path = tmp_path_factory.mktemp("router")
    return export(ConditionedPolicy(shape), card, folder)


@pytest.fixture(scope="module")
def rows() -> Rows:
    random = np.random.default_rng(0)
    made = random.normal(size=(BATCH, RowLayout(DIMENSION, FEATURES).width)).astype(np.float32)
    made[:, -2] = np.arange(BATCH) % 5
    made[:, -1] = random.uniform(0, 0.9, BATCH)
    return made


@pytest.mark.benchmark(group="router, 256 decisions")
def test_graph(benchmark: BenchmarkFixture, artifact: Artifact, rows: Rows) -> None:
    feeds = RowLayout(DIMENSION, FEATURES).feeds(rows)
    measure(benchmark, BATCH, lambda: artifact.session.run([OUTPUT], feeds))


@pytest.mark.benchmark(group="router, 256 decisions")
def test_score(
    benchmark: BenchmarkFixture, artifact: Artifact, executor: ThreadPoolExecutor, rows: Rows
) -> None:
    router = PolicyRouter(artifact, executor=executor)
    measure(benchmark, BATCH, lambda: router.score(rows))


@pytest.mark.benchmark(group="router, 256 decisions")
def test_choose(
    benchmark: BenchmarkFixture, artifact: Artifact, executor: ThreadPoolExecutor, rows: Rows
) -> None:
    router = PolicyRouter(artifact, executor=executor)
    batcher = DecisionBatcher(router.score, rows.shape[1], len(Tier), CAPACITY, executor)
    masks = np.zeros(BATCH, dtype=np.uint8)
    loop = asyncio.new_event_loop()
    try:
        measure(benchmark, BATCH, lambda: loop.run_until_complete(batcher.choose(rows, masks)))
    finally:
        loop.close()


@pytest.mark.benchmark(group="router, one decision's features")
def test_features(benchmark: BenchmarkFixture, artifact: Artifact) -> None:
    decision = random_decisions(artifact.card)[0]
    measure(benchmark, 1, lambda: observe(decision.state, artifact.card.features))
