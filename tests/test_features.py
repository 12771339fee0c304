"""The router's features: finite whatever the state, by stable names, of the numbers they name."""

import math
import sys
from dataclasses import replace
from datetime import datetime, timezone

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from budgetmem.errors import ConfigError
from budgetmem.features import (
    GROUPS,
    NAMES,
    State,
    all_features,
    check_names,
    observe,
    state_chunks,
)
from budgetmem.modules import MODULES
from budgetmem.tiers import Tier
from budgetmem.types import Choice, Chunk, Fallback, Finding, Step, Usage, Workspace
from tests.fakes import CHUNKS

EAST, NORTH = np.eye(2, dtype=np.float32)
EVERY_FLOAT = st.floats(allow_nan=False, allow_infinity=False)
HOSTILE = st.sampled_from([
    "", " ", "\0", "🙂", "\u202eabc", "متى؟", "昨日は?", "</memory>", "a" * 5000, "who " * 500,
    "\ud83d", "(" * 200, "when is 99999999999 BC", "\\1 {x} %s", "Is it?", "i" * 9 + "İ",
])  # fmt: skip
TEXTS = HOSTILE | st.text(max_size=30)
MAY = datetime(2023, 5, 8)
TIMES = st.sampled_from([None, datetime.min, datetime.max, MAY, MAY.replace(tzinfo=timezone.utc)])


def chunk(name, text="a cat", score=0.0, time=None, tokens=2) -> Chunk:
    return Chunk(name, f"s{name}", time, (f"t{name}",), text, tokens, score)


def step(module, tier=Tier.LOW, logprob=None, reason=None, fallbacks=()) -> Step:
    choice = Choice(tier, (0.0, 0.0, 0.0))
    return Step(module, choice, "rung", Usage(), fallbacks, logprob, reason)


@st.composite
def states(draw) -> State:
    chunks = tuple(
        chunk(str(n), draw(TEXTS), draw(EVERY_FLOAT), draw(TIMES), draw(st.integers(0, 10**9)))
        for n in range(draw(st.integers(0, 4)))
    )
    kept = tuple(each for each in chunks if draw(st.booleans()))
    ids = st.lists(st.sampled_from(["0", "1", "gone"]), max_size=3).map(tuple)
    findings = {
        module: tuple(
            Finding(module, draw(TEXTS), draw(ids)) for _ in range(draw(st.integers(0, 2)))
        )
        for module in draw(st.sets(st.sampled_from(list(MODULES))))
    }
    steps = tuple(
        step(
            module,
            draw(st.sampled_from(list(Tier))),
            draw(st.none() | st.floats()),
            draw(st.sampled_from([None, "stop", "length"])),
            draw(st.sampled_from([(), (Fallback("r", "why"),)])),
        )
        for module in draw(st.sets(st.sampled_from(list(MODULES))))
    )
    query = draw(st.sampled_from([None, EAST, np.zeros(2, np.float32)]))
    vectors = {str(n): draw(st.sampled_from([EAST, NORTH])) for n in range(draw(st.integers(0, 3)))}
    return State(Workspace(draw(TEXTS), chunks, kept, findings), steps, query, vectors)


@settings(max_examples=150)
@given(states())
def test_features_are_finite_for_every_state_and_have_the_same_names(state):
    values = all_features(state)
    assert tuple(values) == NAMES
    row = observe(state)
    assert row.dtype == np.float32
    assert row.shape == (len(NAMES),)
    assert np.isfinite(row).all(), {n: v for n, v in values.items() if not math.isfinite(v)}


def test_the_names_are_unique_and_of_the_groups():
    assert len(set(NAMES)) == len(NAMES)
    assert {name.split(".")[0] for name in NAMES} == set(GROUPS)


STABLE = {
    "question": (
        "words keywords names dated yes_no who what when where which why how how_many how_long "
        "would list"
    ),
    "retrieved": (
        "chunks tokens words_found words_in_best similarity_best similarity_mean similarity_gap "
        "sessions days score_gap score_share"
    ),
    "kept": (
        "chunks tokens words_found words_in_best similarity_best similarity_mean similarity_gap "
        "share token_share"
    ),
    "steps": (
        "filter_mid filter_high filter_logprob entity_mid entity_high entity_logprob temporal_mid "
        "temporal_high temporal_logprob topic_mid topic_high topic_logprob cut fell"
    ),
    "findings": "entity temporal topic words words_found literal names chunks",
    "scores": (
        "retrieved_best retrieved_low retrieved_mid retrieved_high "
        "kept_best kept_low kept_mid kept_high"
    ),
}
"""Artifacts and recordings name these: a name may be added, but none may go or change."""


def test_names_are_stable():
    stable = [f"{group}.{name}" for group, names in STABLE.items() for name in names.split()]
    assert [name for name in NAMES if name in stable] == stable


def test_observe_picks_by_name_in_the_order_asked_for():
    state = State(Workspace.start("When did Ana adopt a cat?", CHUNKS))
    whole = dict(zip(NAMES, observe(state).tolist(), strict=True))
    names = ("kept.chunks", "question.when", "retrieved.tokens")
    assert observe(state, names).tolist() == [whole[name] for name in names]
    assert observe(state, names[::-1]).tolist() == [whole[name] for name in names[::-1]]
    assert observe(state, ()).shape == (0,)


def test_unknown_names_are_named():
    check_names(NAMES)
    check_names(())
    with pytest.raises(ConfigError, match=r"unknown router features: a\.x, b\.y"):
        check_names(["b.y", NAMES[0], "a.x"])


def features(question="", chunks=(), **more):
    return all_features(State(Workspace.start(question, chunks), **more))


@pytest.mark.parametrize(
    ("query", "asks"),
    [
        ("Who is Ana?", {"who"}),
        ("When did Ana go?", {"when"}),
        ("What year did Ana go?", {"what", "when"}),
        ("How many cats has Ana?", {"how_many"}),
        ("How long is it?", {"how_long"}),
        ("How did Ana do it?", {"how"}),
        ("Did Ana go?", {"yes_no"}),
        ("Would Ana go?", {"would"}),
        ("What are her hobbies?", {"what", "list"}),
        ("", set()),
    ],
)
def test_how_a_question_asks(query, asks):
    values = features(query)
    kinds = {"yes_no", "who", "what", "when", "where", "which", "why", "how", "how_many"}
    kinds |= {"how_long", "would", "list"}
    assert {kind for kind in kinds if values[f"question.{kind}"]} == asks


def test_what_was_retrieved():
    monday, sunday = datetime(2023, 5, 8), datetime(2023, 5, 14, tzinfo=timezone.utc)
    chunks = (
        chunk("a", "Ana adopted a cat", 0.8, monday, 4),
        chunk("b", "Ben ran", 0.2, sunday, 2),
    )
    values = features("Ana's cat", chunks, query=EAST, vectors={"a": EAST, "b": NORTH})
    found = {name.split(".")[1]: v for name, v in values.items() if name.startswith("retrieved.")}
    assert found == pytest.approx({
        "chunks": math.log(3), "tokens": math.log(7), "sessions": math.log(3), "days": math.log(7),
        "words_found": 1.0, "words_in_best": 1.0, "score_gap": 0.75, "score_share": 0.8,
        "similarity_best": 1.0, "similarity_mean": 0.5, "similarity_gap": 1.0,
    })  # fmt: skip


@pytest.mark.parametrize("scores", [(0.5, -0.5), (0.0, -1.0), (-0.25, -0.5), (5e-324, -1.0)])
def test_scores_below_zero_count_as_none(scores):
    values = features("q", tuple(chunk(str(n), score=s) for n, s in enumerate(scores)))
    assert 0 <= values["retrieved.score_gap"] <= 1
    assert 0 <= values["retrieved.score_share"] <= 1


def test_what_was_kept():
    work = Workspace.start("q", (chunk("a", tokens=6), chunk("b", tokens=2)))
    values = all_features(State(work.with_kept(frozenset({"b"}))))
    assert (values["kept.share"], values["kept.token_share"]) == (0.5, 0.25)


def test_how_sure_retrieval_is_of_what_a_memory_has_room_for():
    chunks = tuple(
        chunk(name, "word " * length, score)
        for name, length, score in [("c", 100, 0.1), ("a", 40, 0.5), ("b", 40, 0.3), ("d", 1, -0.2)]
    )
    work = Workspace.start("q", chunks)
    values = all_features(State(work.with_kept(frozenset({"b", "c"}))))
    sums = {name: math.expm1(value) for name, value in values.items() if name[:7] == "scores."}
    assert sums == pytest.approx({
        "scores.retrieved_best": 0.5, "scores.retrieved_low": 0.5, "scores.retrieved_mid": 0.8,
        "scores.retrieved_high": 0.9, "scores.kept_best": 0.3, "scores.kept_low": 0.3,
        "scores.kept_mid": 0.4, "scores.kept_high": 0.4,
    })  # fmt: skip


def test_what_the_steps_told():
    steps = (
        step("filter", Tier.HIGH, -0.25, "length"),
        step("entity", Tier.MID, None, "stop", (Fallback("r", "why"),)),
        step("topic", Tier.LOW, -math.inf),
    )
    values = features(steps=steps)
    told = {name: value for name, value in values.items() if name.startswith("steps.") and value}
    assert told == {
        "steps.filter_high": 1.0,
        "steps.filter_logprob": -0.25,
        "steps.entity_mid": 1.0,
        "steps.cut": 1.0,
        "steps.fell": 1.0,
    }


def test_what_the_findings_say():
    work = Workspace.start("What did Ana adopt?", (chunk("a", "Ana adopted a cat"), chunk("b")))
    found = {
        "entity": (Finding("entity", "Ana adopted a cat", ("a",)),),
        "topic": (Finding("topic", "zebra", ("a",)), Finding("topic", "Ana", ())),
    }
    values = all_features(State(work.with_findings(found)))
    assert values["findings.entity"] == math.log(2)
    assert values["findings.topic"] == pytest.approx(math.log(3))
    assert values["findings.temporal"] == 0.0
    assert values["findings.words_found"] == 1.0
    assert values["findings.literal"] == pytest.approx(3 / 4)
    assert values["findings.chunks"] == 0.5


def test_similarities_are_of_chunks_with_vectors_best_first():
    state = State(Workspace.start("", ()), (), EAST, {"a": NORTH, "b": EAST})
    assert state.similarities([chunk("a"), chunk("b"), chunk("c")]) == [1.0, 0.0]
    assert replace(state, query=None).similarities([chunk("a")]) == []


def test_the_chunks_that_stand_for_a_state():
    a, b, c = chunk("a"), chunk("b"), chunk("c")
    work = Workspace.start("q", (a, b, c)).with_kept(frozenset({"a", "b"}))
    assert state_chunks(work, "filter") == (a, b, c)
    assert state_chunks(work, "extract") == (a, b)
    assert state_chunks(work, "summary") == (a, b)
    cited = work.with_findings({"topic": (Finding("topic", "x", ("b", "c", "gone")),)})
    assert state_chunks(cited, "summary") == (b,)
    elsewhere = work.with_findings({"topic": (Finding("topic", "x", ("c",)),)})
    assert state_chunks(elsewhere, "summary") == (a, b)
    # What the filter found is no finding about the question.
    filtered = work.with_findings({"filter": (Finding("filter", "x", ("a",)),)})
    assert state_chunks(filtered, "summary") == (a, b)


def test_extreme_scores_fit_into_single_precision():
    big = sys.float_info.max
    row = observe(State(Workspace.start("q", (chunk("a", score=big), chunk("b", score=big)))))
    assert np.isfinite(row).all()
