"""Costs of paths that were not recorded: a part that is known elsewhere is taken from there."""

import numpy as np
import pytest

from training.rollouts.part_costs import estimated
from training.rollouts.paths import EVERY_PATH, place_of

PARTS = 7


def parts_of(scale: float) -> np.ndarray:
    """[243, parts]: the filter's tier says how much the others read, the summary's the answer."""
    read = 1 / (1 + EVERY_PATH[:, 0])
    modules = [scale * EVERY_PATH[:, at] * read for at in range(1, 5)]
    answer = scale * (1 + EVERY_PATH[:, -1]) * read
    return np.stack([np.full(243, 0.5), scale * EVERY_PATH[:, 0], *modules, answer], axis=1)


def known(whole: np.ndarray, *paths: str) -> np.ndarray:
    some = np.full(whole.shape, np.nan)
    for path in paths:
        some[place_of(path)] = whole[place_of(path)]
    return some


def test_what_was_recorded_is_as_it_was():
    """The last two have every tier but the summary's in common, and other costs of all parts: the
    mean of a cell is not what either of them came to."""
    paths = ("LMHLM", "HHHHH", "HHHHL")
    whole = parts_of(1.0)
    whole[place_of("HHHHL")] *= 3
    found = estimated(known(whole, *paths)[None], whole[None])
    for path in paths:
        assert found[0, place_of(path)] == pytest.approx(whole[place_of(path)].sum())


def test_parts_come_from_other_paths_of_the_question():
    """The example's costs are a hundredth: had they been asked, it would show."""
    whole = parts_of(1.0)
    some = known(whole, "LMHLM", "LHLMH")
    found = estimated(some[None], 0.01 * whole[None])
    for path in ("LMLLM", "LHHMH", "LHHLM", "LMHLH"):
        assert found[0, place_of(path)] == pytest.approx(whole[place_of(path)].sum())


def test_another_filter_is_taken_in_proportion_to_the_examples():
    whole = parts_of(3.0)
    found = estimated(known(whole, "LMHMH")[None], parts_of(1.0)[None])
    # The filter's own part is not known of this question.
    expected = whole[place_of("HMHMH")].sum() - 3.0 * 2 + 1.0 * 2
    assert found[0, place_of("HMHMH")] == pytest.approx(expected)


def test_the_proportion_is_that_of_the_same_tier():
    """Of the module behind the filter, Mid costs this question twice what it costs the example, and
    High five times."""
    whole = parts_of(1.0)
    whole[:, 2] *= np.choose(EVERY_PATH[:, 1], (1, 2, 5))
    found = estimated(known(whole, "LMMMM", "LHMMM")[None], parts_of(1.0)[None])
    for path in ("MMMMM", "MHMMM", "HMMMM", "HHMMM"):
        assert found[0, place_of(path)] == pytest.approx(whole[place_of(path)].sum())


def test_a_tier_that_the_question_never_had_costs_what_it_costs_others():
    whole = parts_of(1.0)
    found = estimated(known(whole, "LLLLL")[None], whole[None])
    assert found[0] == pytest.approx(whole.sum(axis=1))


def test_what_nobody_ever_had_is_finite():
    found = estimated(*[known(parts_of(1.0), "LLLLL")[None]] * 2)
    assert np.isfinite(found).all()
