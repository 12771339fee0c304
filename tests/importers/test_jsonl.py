"""Our own format: what is written reads back equal; faults name line and field."""

from datetime import timedelta, timezone

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from budgetmem.errors import InvalidInput, NotFound
from budgetmem.importers.jsonl import read, write
from budgetmem.types import Turn

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
zones = st.none() | st.integers(-12, 12).map(lambda h: timezone(timedelta(hours=h)))
turns = st.lists(
    st.builds(
        Turn,
        id=texts,
        speaker=texts,
        text=texts | st.sampled_from(["</memory>", "שלום \u202e", "🙂\u2028x\r\n", '{"a": 1}']),
        time=st.none() | st.datetimes(timezones=zones),
        session=st.just("") | texts,
        caption=st.none() | texts,
        metadata=st.dictionaries(texts, st.text(st.characters(exclude_categories=["Cs"]))),
    )
)


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(turns=turns)
def test_round_trip(tmp_path, turns):
    path = tmp_path / "h.jsonl"
    assert write(turns, path) == len(turns)
    assert read(path) == {"h": turns}


GOOD = b'{"id": "a", "speaker": "Ana", "text": "x"}\n'


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"id": "a"', r"h.jsonl line 3: not JSON: .*column 11"),
        (b'["id"]', r"h.jsonl line 3: must be an object, not list"),
        (b'{"speaker": "Ana", "text": "x"}', r"h.jsonl line 3\.id: is missing"),
        (b'{"id": 7, "speaker": "Ana", "text": "x"}', r"line 3\.id: must be a string, not int"),
        (GOOD[:-2] + b', "time": "soon"}', r"line 3\.time: 'soon' is not a time"),
        (GOOD[:-2] + b', "tiem": "x"}', r"line 3\.tiem: unknown field"),
        (GOOD[:-2] + b', "metadata": {"k": 1}}', r"line 3\.metadata\.k: must be a string"),
        (b'{"id": "\xff"}', r"h.jsonl line 3: not UTF-8 at byte 8"),
        (b"[" * 100_000, r"h.jsonl line 3: not"),
    ],
)
def test_faults_name_line_and_field(tmp_path, line, message):
    path = tmp_path / "h.jsonl"
    path.write_bytes(GOOD + b"\n" + line + b"\n")
    with pytest.raises(InvalidInput, match=message):
        read(path)


def test_a_zone_written_as_z_and_a_byte_order_mark_are_understood(tmp_path):
    path = tmp_path / "h.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD[:-2] + b', "time": "2023-05-08T13:56:00Z"}\r\n')
    ((turn,),) = read(path).values()
    assert turn.time is not None
    assert turn.time.utcoffset() == timedelta(0)


def test_another_history_than_the_file_holds_is_not_found(tmp_path):
    path = tmp_path / "h.jsonl"
    path.write_bytes(GOOD)
    with pytest.raises(NotFound, match=r"h.jsonl has no history 'x'; it has h"):
        read(path, "x")
