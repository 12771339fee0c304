"""Episodes from recorded outcomes: masks lead to recorded leaves, whatever the order."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from budgetmem.errors import InvalidInput
from tests.training.toy_outcomes import PATHS
from training.rollouts.environment import Embedded, RecordedEnvironment
from training.rollouts.outcomes import Leaf, Node, OutcomeFile, Outcomes
from training.rollouts.paths import DEPTHS, LETTERS, MODULE_COUNT, constant, spell

DIMENSION = 3
LEAF_SETS = st.lists(
    st.sets(st.text(LETTERS, min_size=5, max_size=5), min_size=1, max_size=30),
    min_size=1,
    max_size=3,
)


def number(path: str) -> int:
    return int("".join(str(LETTERS.index(letter)) for letter in path), 3)


def question(name: str, paths) -> Outcomes:
    """Its leaves tell their paths by score and cost; its nodes theirs by their feature."""
    nodes = {
        path[:depth]: Node((float(number("M" + path[:depth])),), (f"c{depth}",))
        for path in paths
        for depth in DEPTHS.values()
    }
    rest = (0.0,) * MODULE_COUNT
    leaves = {
        path: Leaf(number(path) / 243, (number(path) * 1e-6, *rest, 1e-7), 9) for path in paths
    }
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


@settings(max_examples=60, deadline=None)
@given(LEAF_SETS, st.integers(0, 2**16))
def test_masks_lead_to_recorded_leaves_alone_and_never_to_a_dead_end(leaf_sets, seed):
    env = environment(leaf_sets)
    places = np.arange(len(leaf_sets)).repeat(4)
    episodes = walk(env, places, seed)
    tiers = episodes.tiers.numpy()
    for row, place in enumerate(places):
        path = spell(tiers[:, row])
        assert path in leaf_sets[place]
        assert episodes.scores[row] == number(path) / 243
        assert episodes.costs[row] == pytest.approx(number(path) * 1e-6 + 1e-7)
    chosen = episodes.masked.gather(2, episodes.tiers.unsqueeze(2))
    assert not chosen.any()


@settings(max_examples=60, deadline=None)
@given(LEAF_SETS, st.integers(0, 2**16))
def test_a_tier_is_masked_just_when_no_recorded_path_goes_on_by_it(leaf_sets, seed):
    """For the first module and the last, whose turn does not depend on the order drawn."""
    env = environment(leaf_sets)
    places = np.arange(len(leaf_sets))
    episodes = walk(env, places, seed)
    for row, paths in enumerate(leaf_sets):
        path = spell(episodes.tiers[:, row].numpy())
        for module, begun in ((0, ""), (MODULE_COUNT - 1, path[:-1])):
            going_on = {each[module] for each in paths if each.startswith(begun)}
            masked = episodes.masked[module, row].tolist()
            assert masked == [letter not in going_on for letter in LETTERS]


@pytest.mark.parametrize("seed", range(12))
def test_the_middle_modules_are_asked_in_every_order(seed):
    """Two recorded middles: whoever is asked first has the choice, and the others follow."""
    env = environment([{"LLLLL", "LHHHL"}])
    episodes = walk(env, [0], seed)
    free = [module for module in (1, 2, 3) if not episodes.masked[module, 0, [0, 2]].any()]
    order = np.random.default_rng(seed).permutation((1, 2, 3))
    assert free == [order[0]]


def test_all_middle_modules_are_first_now_and_then():
    env = environment([{"LLLLL", "LHHHL"}])
    free = set()
    for seed in range(30):
        masked = walk(env, [0], seed).masked
        free |= {module for module in (1, 2, 3) if not masked[module, 0, [0, 2]].any()}
    assert free == {1, 2, 3}


def test_with_all_paths_of_a_stage_recorded_nothing_is_masked_but_the_rest():
    episodes = walk(environment([PATHS]), [0] * 20, 1)
    assert not episodes.masked[0].any()
    assert not episodes.masked[-1].any()


def test_what_is_seen_is_the_state_of_the_path_so_far():
    env = environment([PATHS, {"HLLLM"}])
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
    assert np.isfinite(env.score).sum() == np.isfinite(env.cost).sum() == 3


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
