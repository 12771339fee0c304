"""Episodes from recorded outcomes: every path can be walked."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from budgetmem.errors import InvalidInput
from budgetmem.tiers import Tier
from tests.training.toy_outcomes import PATHS
from training.rollouts.environment import Embedded, RecordedEnvironment
from training.rollouts.outcomes import Leaf, Node, OutcomeFile, Outcomes
from training.rollouts.paths import DEPTHS, LETTERS, MODULE_COUNT, constant, spell

DIMENSION = 3
EVERY = tuple(map(spell, product(Tier, repeat=MODULE_COUNT)))
LEAF_SETS = st.lists(
    st.sets(st.text(LETTERS, min_size=5, max_size=5), min_size=1, max_size=30),
    min_size=1,
    max_size=3,
)


def number(path: str) -> int:
    return int("".join(str(LETTERS.index(letter)) for letter in path), 3)


def shares(path: str) -> list[float]:
    """The modules' parts of a cost that is 1e-6 of the path's number."""
    return [
        LETTERS.index(letter) * 1e-6 * 3 ** (MODULE_COUNT - 1 - place)
        for place, letter in enumerate(path)
    ]


def question(name: str, paths) -> Outcomes:
    """Its leaves tell their paths by score and cost, of which each module has a part; its nodes
    theirs by their feature."""
    nodes = {
        path[:depth]: Node((float(number("M" + path[:depth])),), (f"c{depth}",))
        for path in paths
        for depth in DEPTHS.values()
    }
    leaves = {path: Leaf(number(path) / 243, (0.0, *shares(path), 1e-7), 9) for path in paths}
    return Outcomes(name, "h", "c", nodes, leaves, {})


def environment(leaf_sets) -> RecordedEnvironment:
    asked = tuple(question(f"q{n}", sorted(paths)) for n, paths in enumerate(leaf_sets))
    unit = np.eye(DIMENSION, dtype=np.float32)
    vectors = Embedded(
        {each.question: unit[0] * (n + 1) for n, each in enumerate(asked)},
        {
            (each.question, f"c{depth}"): unit[at]
            for each in asked
            for at, depth in enumerate(DEPTHS.values())
        },
    )
    return RecordedEnvironment(OutcomeFile({}, ("a",), asked), vectors)


def walk(env, places, seed, choose=None):
    draw = np.random.default_rng(seed)

    def any_open(seen, masked):
        assert not masked.all(dim=1).any()
        return torch.tensor([draw.choice(np.flatnonzero(~row)) for row in masked.numpy()])

    weights = np.linspace(0, 1, len(places))
    return env.walk(np.asarray(places), weights, choose or any_open, draw)


@settings(max_examples=25)
@given(LEAF_SETS, st.integers(0, 2**16))
def test_every_path_can_be_walked_and_what_was_recorded_is_as_it_was(leaf_sets, seed):
    env = environment(leaf_sets)
    places = np.arange(len(leaf_sets)).repeat(8)
    episodes = walk(env, places, seed)
    assert not episodes.masked.any()
    for row, place in enumerate(places):
        path = spell(episodes.tiers[:, row].numpy())
        assert 0 <= episodes.scores[row] <= 1
        assert episodes.costs[row] > 0
        known = path in leaf_sets[place]
        assert env.recorded[place, number(path)] == known
        if known:
            assert episodes.scores[row] == number(path) / 243
            assert episodes.costs[row] == pytest.approx(number(path) * 1e-6 + 1e-7)


def test_what_adds_up_over_modules_is_estimated_as_it_is():
    """Scores and costs of these paths are sums over the modules' tiers."""
    env = environment([EVERY[::4], EVERY[::7]])
    rows = np.arange(243)
    assert env.score == pytest.approx(np.stack([rows / 243] * 2), abs=2e-3)
    assert env.cost == pytest.approx(np.stack([rows * 1e-6 + 1e-7] * 2), rel=1e-6)


def test_a_state_that_was_not_recorded_is_seen_as_the_nearest_one():
    env = environment([{"LLLLL", "HHHHH"}])
    for path, seen in (("HLHHM", "HHHH"), ("LLHLM", "LLLL"), ("HHHHL", "HHHH")):
        left = iter(path)
        episodes = walk(env, [0], 0, lambda *_, left=left: tier_of(next(left)))
        assert episodes.seen.features[:, 0].tolist() == [
            number("M"),
            *[number("M" + path[0])] * 3,
            number("M" + seen),
        ]


def tier_of(letter: str) -> torch.Tensor:
    return torch.tensor([LETTERS.index(letter)])


def test_what_is_seen_is_the_state_of_the_path_so_far():
    env = environment([EVERY, EVERY])
    episodes = walk(env, [0, 1, 0], 5)
    rows = len(episodes.scores)
    assert len(episodes.seen.module) == MODULE_COUNT * rows
    for module in range(MODULE_COUNT):
        at = slice(module * rows, (module + 1) * rows)
        depth = {0: 0, MODULE_COUNT - 1: 4}.get(module, 1)
        states = [number("M" + spell(t)[:depth]) for t in episodes.tiers.T.numpy()]
        assert episodes.seen.features[at, 0].tolist() == states
        assert episodes.seen.module[at].tolist() == [module] * rows
        assert episodes.seen.query[at, 0].tolist() == [1.0, 2.0, 1.0]
        assert episodes.seen.cost_weight[at].tolist() == [0.0, 0.5, 1.0]
        place = list(DEPTHS.values()).index(depth)
        assert episodes.seen.state[at, place].tolist() == [1.0] * rows


def test_a_chooser_gets_what_was_asked_of_it():
    env = environment([PATHS])
    for tier in range(3):

        def same(seen, masked, tier=tier):
            return torch.full((len(masked),), tier)

        episodes = walk(env, [0, 0], 3, same)
        path = spell(constant(tier))
        assert episodes.scores.tolist() == [number(path) / 243] * 2


def test_its_sizes():
    env = environment([{"LLLLL"}, {"LLLLL", "LLLLM"}])
    assert env.questions == ("q0", "q1")
    assert env.dimension == DIMENSION
    assert env.features.shape == (6, 1)
    assert env.recorded.sum() == 3
    assert env.score.shape == env.cost.shape == (2, 243)


def test_an_empty_split_is_refused():
    with pytest.raises(InvalidInput, match="empty split"):
        environment([])


def test_a_question_or_state_without_a_vector_is_named():
    asked = question("q0", ["LLLLL"])
    file = OutcomeFile({}, ("a",), (asked,))
    vector = np.ones(DIMENSION, dtype=np.float32)
    with pytest.raises(InvalidInput, match="q0: has no vector"):
        RecordedEnvironment(file, Embedded({}, {("q0", "c0"): vector}))
    with pytest.raises(InvalidInput, match="q0: its chunk 'c1' has no vector"):
        RecordedEnvironment(file, Embedded({"q0": vector}, {("q0", "c0"): vector}))


def with_chunks(name: str, *chunks: str) -> Outcomes:
    """A question with the same chunks in all of its states."""
    asked = question(name, ["LLLLL"])
    return replace(asked, nodes=dict.fromkeys(asked.nodes, Node((0.0,), chunks)))


def test_a_state_is_the_mean_of_its_chunks():
    unit = np.eye(DIMENSION, dtype=np.float32)
    vectors = Embedded({"q0": unit[0]}, {("q0", "c0"): unit[0], ("q0", "c1"): unit[1]})
    file = OutcomeFile({}, ("a",), (with_chunks("q0", "c0", "c1"),))
    episodes = walk(RecordedEnvironment(file, vectors), [0], 0)
    assert episodes.seen.state[0].tolist() == pytest.approx([0.5**0.5, 0.5**0.5, 0.0])


@pytest.mark.parametrize(
    ("chunks", "named"),
    [
        (("c0", "gone", "lost"), "its chunk 'gone' has no vector"),
        ((), "has a state without chunks"),
    ],
)
def test_a_state_with_some_of_its_chunks_would_be_another_state(chunks, named):
    vector = np.ones(DIMENSION, dtype=np.float32)
    file = OutcomeFile({}, ("a",), (with_chunks("q0", *chunks),))
    with pytest.raises(InvalidInput, match=f"q0: {named}"):
        RecordedEnvironment(file, Embedded({"q0": vector}, {("q0", "c0"): vector}))


def test_two_questions_have_their_own_vectors_of_a_chunk():
    unit = np.eye(DIMENSION, dtype=np.float32)
    file = OutcomeFile({}, ("a",), (with_chunks("q0", "c"), with_chunks("q1", "c")))
    vectors = Embedded({"q0": unit[0], "q1": unit[0]}, {("q0", "c"): unit[1], ("q1", "c"): unit[2]})
    states = walk(RecordedEnvironment(file, vectors), [0, 1], 0).seen.state
    assert states[:2].tolist() == [unit[1].tolist(), unit[2].tolist()]
