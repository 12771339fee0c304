import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from budgetmem.errors import BackboneError, InvalidInput, Overloaded
from budgetmem.scheduling.decisions import DecisionBatcher

WIDTH, TIERS = 4, 3


class Score:
    """Logits are the first features. The first batch waits to be let go, if it is held."""

    def __init__(self, held: bool = False) -> None:
        self.batches: list[np.ndarray] = []
        self.started = threading.Event()
        self.go = threading.Event()
        if not held:
            self.go.set()

    def __call__(self, features: np.ndarray) -> np.ndarray:
        self.batches.append(features.copy())
        self.started.set()
        assert self.go.wait(60)
        return features[:, :TIERS].copy()


@pytest.fixture
def executor():
    with ThreadPoolExecutor(1) as pool:
        yield pool


@pytest.fixture
def make(executor):
    def make(score, capacity: int = 64) -> DecisionBatcher:
        return DecisionBatcher(score, WIDTH, TIERS, capacity, executor)

    return make


def rows(*tiers: int) -> np.ndarray:
    """Rows whose greatest logit is that of the tier."""
    features = np.zeros((len(tiers), WIDTH), np.float32)
    features[np.arange(len(tiers)), tiers] = 2.0
    return features


def free(n: int) -> np.ndarray:
    return np.zeros(n, np.uint8)


async def started(score: Score) -> None:
    while not score.started.is_set():
        await asyncio.sleep(0)


async def test_a_choice_is_the_most_probable_tier_that_is_not_masked(make):
    masks = np.array([0b000, 0b010, 0b011], np.uint8)
    chosen, probabilities = await make(Score()).choose(rows(1, 1, 0), masks)
    assert chosen.tolist() == [1, 0, 2]
    e2 = np.exp(2.0)
    expected = [[1 / (e2 + 2), e2 / (e2 + 2), 1 / (e2 + 2)], [0.5, 0, 0.5], [0, 0, 1]]
    np.testing.assert_allclose(probabilities, expected, rtol=1e-6)
    assert (chosen.dtype, probabilities.dtype) == (np.uint8, np.float32)


async def test_batches_one_after_the_other_have_masks_of_their_own(make):
    batcher = make(Score())
    for mask, chosen in ((0b010, 0), (0b001, 1), (0b011, 2)):
        masks = np.array([mask], np.uint8)
        assert (await batcher.choose(rows(1), masks))[0].tolist() == [chosen]


async def test_a_tick_is_one_batch_and_callers_get_their_own_rows(make):
    score = Score()
    batcher = make(score)
    tiers = [[0], [1, 2], [2], [0, 0, 1]]
    results = await asyncio.gather(*(batcher.choose(rows(*t), free(len(t))) for t in tiers))
    assert [chosen.tolist() for chosen, _ in results] == tiers
    assert [len(batch) for batch in score.batches] == [7]
    np.testing.assert_array_equal(score.batches[0], rows(0, 1, 2, 2, 0, 0, 1))


async def test_what_comes_during_a_batch_is_the_next(make):
    score = Score(held=True)
    batcher = make(score)
    first = asyncio.create_task(batcher.choose(rows(0), free(1)))
    await started(score)
    later = []
    for tier in (1, 2, 1):
        later.append(asyncio.create_task(batcher.choose(rows(tier), free(1))))
        await asyncio.sleep(0)
    score.go.set()
    results = await asyncio.gather(first, *later)
    assert [chosen.tolist() for chosen, _ in results] == [[0], [1], [2], [1]]
    assert [len(batch) for batch in score.batches] == [1, 3]


async def test_sampling_callers_and_others_share_a_batch(make):
    score = Score()
    batcher = make(score)
    uniforms = np.array([0.0, 0.5, 0.999])
    (sampled, _), (best, _) = await asyncio.gather(
        batcher.choose(rows(1, 1, 1), free(3), uniforms), batcher.choose(rows(1), free(1))
    )
    assert sampled.tolist() == [0, 1, 2]
    assert best.tolist() == [1]
    assert len(score.batches) == 1


async def test_a_failed_batch_fails_its_callers_and_no_later_ones(make):
    score = Score(held=True)

    def fail_once(features):
        logits = score(features)
        if len(score.batches) == 1:
            raise BackboneError("no session")
        return logits

    batcher = make(fail_once)
    failing = [asyncio.create_task(batcher.choose(rows(0), free(1))) for _ in range(2)]
    await started(score)
    later = asyncio.create_task(batcher.choose(rows(2), free(1)))
    await asyncio.sleep(0)
    score.go.set()
    for task in failing:
        with pytest.raises(BackboneError, match="no session"):
            await task
    assert (await later)[0].tolist() == [2]


@pytest.mark.parametrize(
    ("logits", "message"),
    [
        (np.zeros((1, TIERS + 1), np.float32), r"float32 \[1, 4\], not float32 \[1, 3\]"),
        (np.zeros((2, TIERS), np.float32), r"float32 \[2, 3\]"),
        (np.zeros((1, TIERS)), "float64"),
        (np.full((1, TIERS), np.nan, np.float32), "NaN"),
    ],
)
async def test_scores_that_are_no_logits(make, logits, message):
    batcher = make(lambda features: logits)
    with pytest.raises(BackboneError, match=message):
        await batcher.choose(rows(0), free(1))


async def test_logits_need_not_be_contiguous(make):
    batcher = make(lambda features: np.asfortranarray(features[:, :TIERS]))
    assert (await batcher.choose(rows(2, 0), free(2)))[0].tolist() == [2, 0]


async def test_bad_input_is_its_callers_affair(make):
    score = Score()
    batcher = make(score)
    spoilt = rows(0, 1)
    spoilt[1, 3] = np.nan
    results = await asyncio.gather(
        batcher.choose(spoilt, free(2)),
        batcher.choose(rows(1), free(1), np.array([1.0])),
        batcher.choose(rows(1), free(1), np.array([np.nan])),
        batcher.choose(rows(1), free(1), np.array([0.5, 0.5])),
        batcher.choose(rows(1), free(2)),
        batcher.choose(rows(2), free(1)),
        return_exceptions=True,
    )
    assert all(isinstance(error, InvalidInput) for error in results[:5])
    fields = ["rows[1]", "uniforms", "uniforms", "uniforms", "masks"]
    assert [error.field for error in results[:5]] == fields
    assert results[5][0].tolist() == [2]
    np.testing.assert_array_equal(score.batches, [rows(2)])


async def test_a_full_buffer_refuses(make):
    score = Score(held=True)
    batcher = make(score, capacity=3)
    first = asyncio.create_task(batcher.choose(rows(0, 0, 0), free(3)))
    await started(score)
    second = asyncio.create_task(batcher.choose(rows(1, 1), free(2)))
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await batcher.choose(rows(2, 2), free(2))
    score.go.set()
    assert (await first)[0].tolist() == [0, 0, 0]
    assert (await second)[0].tolist() == [1, 1]
    assert (await batcher.choose(rows(2, 2), free(2)))[0].tolist() == [2, 2]


async def test_a_cancelled_caller_does_not_harm_the_batch(make):
    score = Score(held=True)
    batcher = make(score)
    gone, stays = (asyncio.create_task(batcher.choose(rows(t), free(1))) for t in (1, 2))
    await started(score)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    score.go.set()
    assert (await stays)[0].tolist() == [2]


async def test_no_rows_are_no_decisions(make):
    score = Score()
    chosen, probabilities = await make(score).choose(rows(), free(0))
    assert (chosen.shape, probabilities.shape) == ((0,), (0, TIERS))
    assert score.batches == []


async def test_an_executor_that_is_shut_down_is_told_to_the_caller(make, executor):
    batcher = make(Score())
    executor.shutdown()
    with pytest.raises(RuntimeError, match="shutdown"):
        await batcher.choose(rows(0), free(1))


@pytest.mark.parametrize("tiers", [0, 9])
def test_tiers_must_fit_a_mask(executor, tiers):
    with pytest.raises(InvalidInput, match="tiers"):
        DecisionBatcher(Score(), WIDTH, tiers, 1, executor)
