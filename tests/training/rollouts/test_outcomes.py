"""Outcome files: what is written is read, and a line that is wrong is named."""

import gzip
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from budgetmem.errors import ConfigError, InvalidInput
from training.rollouts.outcomes import Leaf, Node, OutcomeFile, Outcomes, Writer, read
from training.rollouts.paths import DEPTHS, LETTERS

SETTING = {"dataset": "toy", "max_tokens": 800, "backbones": {"low": "a"}}
FEATURES = ("a.one", "b.two")
NUMBERS = st.floats(allow_nan=False, allow_infinity=False, width=32)
LEAVES = st.builds(
    Leaf,
    st.floats(0, 1),
    st.lists(st.floats(0, 1), min_size=7, max_size=7).map(tuple),
    st.integers(0, 9999),
    st.lists(st.sampled_from(["filter", "summary"]), max_size=2).map(tuple),
)
NODES = st.builds(Node, st.tuples(NUMBERS, NUMBERS), st.lists(st.text(max_size=5)).map(tuple))


@st.composite
def some_outcomes(draw):
    paths = draw(st.sets(st.text(LETTERS, min_size=5, max_size=5), min_size=1, max_size=6))
    prefixes = sorted({path[:depth] for path in paths for depth in DEPTHS.values()})
    return Outcomes(
        question=draw(st.text(max_size=8)),
        history=draw(st.text(max_size=8)),
        category="c",
        nodes={prefix: draw(NODES) for prefix in prefixes},
        leaves={path: draw(LEAVES) for path in sorted(paths)},
        recall={path[:1]: 0.5 for path in sorted(paths)},
    )


def one(question="q0", path="LMHLL") -> Outcomes:
    node = Node((0.5, -1.0), ("c1",))
    nodes = {path[:depth]: node for depth in DEPTHS.values()}
    leaf = Leaf(0.75, (1e-6,) * 7, 12, ("topic",))
    return Outcomes(question, "h", "single-hop", nodes, {path: leaf}, {path[:1]: 1.0})


@given(st.lists(some_outcomes(), max_size=4, unique_by=lambda each: each.question))
def test_files_round_trip(tmp_path_factory, outcomes):
    path = tmp_path_factory.mktemp("outcomes") / "toy.jsonl"
    writer = Writer(path, SETTING, FEATURES)
    for each in outcomes:
        writer.write(each)
    assert read(path) == OutcomeFile(SETTING, FEATURES, tuple(outcomes))


@pytest.mark.parametrize("name", ["toy.jsonl", "deep/toy.jsonl", "toy.jsonl.gz"])
def test_a_second_writer_goes_on(tmp_path, name):
    path = tmp_path / name
    Writer(path, SETTING, FEATURES).write(one("q0"))
    Writer(path, SETTING, FEATURES).write(one("q1"))
    assert [each.question for each in read(path).outcomes] == ["q0", "q1"]


@pytest.mark.parametrize("changed", [{"setting": {"dataset": "x"}}, {"features": ("b.two",)}])
def test_outcomes_of_another_setting_are_not_mixed_in(tmp_path, changed):
    path = tmp_path / "toy.jsonl"
    Writer(path, SETTING, FEATURES).write(one())
    before = path.read_bytes()
    with pytest.raises(InvalidInput, match="of another setting"):
        Writer(path, **{"setting": SETTING, "features": FEATURES, **changed})
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["toy.jsonl", "toy.jsonl.gz"])
def test_a_writer_that_was_killed_leaves_a_file_that_goes_on(tmp_path, name):
    """Wherever it was cut off: in the header, in a line, before its end."""
    path = tmp_path / name
    ends = []
    writer = Writer(path, SETTING, FEATURES)
    for question in ("q0", "q1"):
        ends.append(path.stat().st_size)
        writer.write(one(question))
    whole = path.read_bytes()
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        if end not in (0, *ends):
            with pytest.raises(InvalidInput, match="cut off"):
                read(path)
        Writer(path, SETTING, FEATURES).write(one("q2"))
        found = [each.question for each in read(path).outcomes]
        assert found == [*["q0", "q1"][: sum(end >= at for at in [*ends[1:], len(whole)])], "q2"]


def test_a_damaged_compressed_file_is_named(tmp_path):
    path = tmp_path / "toy.jsonl.gz"
    path.write_bytes(b"my notes")
    for attempt in (lambda: read(path), lambda: Writer(path, SETTING, FEATURES)):
        with pytest.raises(InvalidInput, match="no gzip file"):
            attempt()
    assert path.read_bytes() == b"my notes"


@pytest.mark.parametrize("content", ["my notes", "{}\n", '{"setting": 3}\n', "[]\n{}\n"])
def test_a_file_that_is_something_else_is_named_and_left_alone(tmp_path, content):
    path = tmp_path / "notes.txt"
    path.write_text(content)
    with pytest.raises(InvalidInput, match=r"notes\.txt:1: is not the header"):
        Writer(path, SETTING, FEATURES)
    with pytest.raises(InvalidInput, match=r"notes\.txt:1: is not the header"):
        read(path)
    assert path.read_text() == content


NOTES = b"these are my notes, and nothing else. " * 50


@pytest.mark.parametrize("end", [40, -1, None])
def test_a_compressed_file_that_is_something_else_is_left_alone_although_cut_off(tmp_path, end):
    path = tmp_path / "toy.jsonl.gz"
    path.write_bytes(gzip.compress(NOTES, compresslevel=0)[:end])
    before = path.read_bytes()
    with pytest.raises(InvalidInput, match=r"toy\.jsonl\.gz:1: is not the header"):
        Writer(path, SETTING, FEATURES)
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["toy.jsonl", "toy.jsonl.gz"])
def test_a_header_of_another_setting_is_left_alone_although_cut_off(tmp_path, name):
    path = tmp_path / name
    Writer(path, {**SETTING, "dataset": "another"}, FEATURES)
    path.write_bytes(path.read_bytes()[:-1])
    before = path.read_bytes()
    with pytest.raises(InvalidInput, match="is not the header"):
        Writer(path, SETTING, FEATURES)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"\xff\xfe\n", b"\xff\xfe", gzip.compress(b"{}\n")])
@pytest.mark.parametrize("name", ["toy.jsonl", "toy.jsonl.gz"])
def test_what_is_no_text_is_named_and_left_alone(tmp_path, name, content):
    path = tmp_path / name
    if path.suffix == ".gz":
        content = gzip.compress(content)
    path.write_bytes(content)
    for attempt in (lambda: read(path), lambda: Writer(path, SETTING, FEATURES)):
        with pytest.raises(InvalidInput, match="is no text in UTF-8"):
            attempt()
    assert path.read_bytes() == content


def test_a_folder_is_named(tmp_path):
    for attempt in (lambda: read(tmp_path), lambda: Writer(tmp_path, SETTING, FEATURES)):
        with pytest.raises(ConfigError, match="is a folder: name a file"):
            attempt()


def test_an_empty_file_is_named(tmp_path):
    path = tmp_path / "toy.jsonl"
    path.touch()
    with pytest.raises(InvalidInput, match=r"toy\.jsonl: is empty"):
        read(path)


def without(field):
    return lambda line: {key: value for key, value in line.items() if key != field}


def leaves(**changed):
    return lambda line: {**line, "leaves": changed}


LEAF = {"score": 0.5, "costs_usd": [0.0] * 7, "answer_tokens": 3}
MALFORMED = {
    "no JSON": lambda line: "half a li",
    "no object": lambda line: 3,
    "no question": without("question"),
    "no leaves": leaves(),
    "leaf off the way": leaves(HHHHH=LEAF),
    "short leaf": leaves(LM=LEAF),
    "other letters": leaves(LMHLX=LEAF),
    "score in words": leaves(LMHLL={**LEAF, "score": "good"}),
    "six costs": leaves(LMHLL={**LEAF, "costs_usd": [0.0] * 6}),
    "one feature": lambda line: {
        **line, "nodes": {name: {**node, "features": [1]} for name, node in line["nodes"].items()}
    },
}  # fmt: skip


@pytest.mark.parametrize("fault", MALFORMED)
def test_a_malformed_line_is_named(tmp_path, fault):
    path = tmp_path / "toy.jsonl"
    for name in ("q0", "q1"):
        Writer(path, SETTING, FEATURES).write(one(name))
    header, first, second = path.read_text().splitlines()
    wrong = MALFORMED[fault](json.loads(second))
    second = wrong if isinstance(wrong, str) else json.dumps(wrong)
    path.write_text("\n".join([header, first, second]) + "\n")
    with pytest.raises(InvalidInput, match=r"toy\.jsonl:3"):
        read(path)


def test_a_number_that_is_not_finite_is_not_written(tmp_path):
    path = tmp_path / "toy.jsonl"
    writer = Writer(path, SETTING, FEATURES)
    bad = one()
    bad = replace(bad, leaves={"LMHLL": replace(bad.leaves["LMHLL"], score=float("nan"))})
    with pytest.raises(ValueError, match="JSON"):
        writer.write(bad)
    assert read(path).outcomes == ()


def test_paths_of_a_question_that_came_later_are_added(tmp_path):
    path = tmp_path / "toy.jsonl"
    writer = Writer(path, SETTING, FEATURES)
    for each in (one(), one("q1"), one(path="HHHHH"), replace(one(), recall={"L": 0.5})):
        writer.write(each)
    joined, other = read(path).outcomes
    assert (joined.question, other.question) == ("q0", "q1")
    assert set(joined.leaves) == {"LMHLL", "HHHHH"}
    assert set(joined.nodes) == {*one().nodes, *one(path="HHHHH").nodes}
    assert joined.recall == {"L": 0.5, "H": 1.0}


def test_a_question_of_another_history_is_another_question(tmp_path):
    path = tmp_path / "toy.jsonl"
    writer = Writer(path, SETTING, FEATURES)
    writer.write(one())
    writer.write(replace(one(), history="other"))
    with pytest.raises(InvalidInput, match=r"toy\.jsonl:3: has another 'q0'"):
        read(path)


def test_a_leaf_costs_the_sum_of_its_parts():
    assert one().leaves["LMHLL"].cost_usd == pytest.approx(7e-6)


def test_a_file_can_be_narrowed_to_groups_of_features():
    file = OutcomeFile(SETTING, FEATURES, (one(),))
    narrow = file.with_groups(["b"])
    assert narrow.features == ("b.two",)
    assert narrow.setting == file.setting
    assert {node.features for node in narrow.outcomes[0].nodes.values()} == {(-1.0,)}
    assert narrow.outcomes[0].leaves == file.outcomes[0].leaves
    assert file.with_groups(["b", "a"]) == file.with_groups([]) == file


def test_a_group_that_no_feature_is_of_is_named():
    with pytest.raises(ConfigError, match="feature_groups: no c among a, b"):
        OutcomeFile(SETTING, FEATURES, (one(),)).with_groups(["a", "c"])


def test_outcomes_made_by_hand_are_checked_too():
    with pytest.raises(InvalidInput, match=r"outcomes\[1\]\.nodes\[''\]: must have 1 features"):
        OutcomeFile({}, ("a",), (replace(one(), nodes=short(one())), one()))


def short(outcomes):
    return {name: replace(node, features=(1.0,)) for name, node in outcomes.nodes.items()}
