"""The mixed model: what adds up is found exactly, noise is shrunk, nothing recorded is changed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.rollouts.effects import Effects
from training.rollouts.paths import EVERY_PATH, MODULE_COUNT

QUESTIONS, PATHS = 200, 9


def simulated(seed: int, question: float, summary: float, noise: float):
    """Figures of all paths, and the same with PATHS random ones of each question known."""
    random = np.random.default_rng(seed)
    fixed = np.array([[0, 0.1 * module, 0.15] for module in range(MODULE_COUNT)])
    whole = sum(fixed[module][EVERY_PATH[:, module]] for module in range(MODULE_COUNT))
    whole = whole + random.normal(0, question, (QUESTIONS, 1))
    own = random.normal(0, summary, (QUESTIONS, 3))
    whole = whole + own[:, EVERY_PATH[:, -1]] + random.normal(0, noise, (QUESTIONS, 243))
    known = np.full(whole.shape, np.nan)
    for row, truth in zip(known, whole, strict=True):
        some = random.choice(243, PATHS, replace=False)
        row[some] = truth[some]
    return whole, known


def test_variances_are_those_of_the_simulation():
    _, known = simulated(0, question=0.3, summary=0.2, noise=0.1)
    question, *modules, rest = Effects.fit(known).deviations
    assert question == pytest.approx(0.3, abs=0.05)
    assert modules[-1] == pytest.approx(0.2, abs=0.03)
    assert max(modules[:-1]) < 0.05
    assert rest == pytest.approx(0.1, abs=0.02)


def test_the_fixed_effects_are_what_a_tier_adds():
    _, known = simulated(1, question=0.3, summary=0.0, noise=0.05)
    base, *rest = Effects.fit(known).fixed
    assert base == pytest.approx(0.0, abs=0.08)
    mids, highs = rest[::2], rest[1::2]
    assert mids == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4], abs=0.03)
    assert highs == pytest.approx([0.15] * MODULE_COUNT, abs=0.03)


def test_estimates_are_nearer_than_a_question_s_mean_or_the_path_s():
    whole, known = simulated(2, question=0.3, summary=0.2, noise=0.1)
    hidden = np.isnan(known)
    found = Effects.fit(known).estimate(known)

    def error(guess):
        return float(np.sqrt(np.mean((guess - whole)[hidden] ** 2)))

    of_question = np.broadcast_to(np.nanmean(known, axis=1, keepdims=True), whole.shape)
    of_path = np.broadcast_to(whole.mean(axis=0), whole.shape)
    assert error(found) < 0.6 * min(error(of_question), error(of_path))


def test_without_noise_estimates_are_exact():
    whole, known = simulated(3, question=0.3, summary=0.0, noise=0.0)
    assert Effects.fit(known).estimate(known) == pytest.approx(whole, abs=0.01)


def log_density(known, deviations):
    """Of the figures that are known, up to a constant, whatever the fixed effects are: those have a
    variance of the scores', which says next to nothing of them. Worked out at once, and not by
    question as the fit does."""
    question, *modules, rest = np.square(deviations)
    rows, paths = np.nonzero(~np.isnan(known))
    tiers = EVERY_PATH[paths]
    same = rows[:, None] == rows
    varying = sum(of * np.equal.outer(*[tiers[:, at]] * 2) for at, of in enumerate(modules))
    design = np.hstack([np.ones((len(paths), 1)), tiers == 1, tiers == 2])
    held = same * (question + varying) + rest * np.eye(len(paths))
    held += np.nanvar(known) * design @ design.T
    figures = known[rows, paths]
    return -(np.linalg.slogdet(held)[1] + figures @ np.linalg.solve(held, figures)) / 2


def test_of_few_questions_variances_are_no_smaller_than_they_are():
    """The plain likelihood takes what the fixed effects explain by chance for theirs: of figures
    like these it finds remainders that are an eighth smaller."""
    _, known = simulated(4, question=0.3, summary=0.0, noise=0.2)
    known = known[:4]
    found = Effects.fit(known).deviations
    most = log_density(known, found)
    for place in (0, -1):
        for factor in (0.9, 0.95, 1.05, 1.1):
            other = found.copy()
            other[place] *= factor
            assert log_density(known, other) < most


@settings(max_examples=30)
@given(
    st.lists(
        st.dictionaries(st.integers(0, 242), st.floats(0, 1), min_size=1, max_size=6),
        min_size=1,
        max_size=4,
    )
)
def test_whatever_was_recorded_stays_and_the_rest_is_finite(rows):
    figures = np.full((len(rows), 243), np.nan)
    for row, known in zip(figures, rows, strict=True):
        row[list(known)] = list(known.values())
    found = Effects.fit(figures).estimate(figures)
    there = ~np.isnan(figures)
    assert (found[there] == figures[there]).all()
    assert np.isfinite(found).all()
