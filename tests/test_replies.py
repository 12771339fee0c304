from __future__ import annotations

import contextlib

import json_repair
import pytest
from hypothesis import given
from hypothesis import strategies as st

from budgetmem.errors import ReplyError
from budgetmem.replies import read_list, read_number, read_text


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ('{"keep": [1, 2]}', [1, 2]),
        ('{"keep": []}', []),
        ('{"reasoning": "keep: {both} [3]", "keep": [1, 2]}', [1, 2]),
        ('```json\n{"keep": [1, 2,]}\n```', [1, 2]),
        ("{'keep': [1, 2", [1, 2]),
        ('Memory [3] is off topic.\n{"keep": [1, 2]} I hope this helps {you}!', [1, 2]),
        ('First: {"keep": [4]}. On reflection: {"keep": [1, 2]}', [1, 2]),
        ("<think>keep: hm</think>keep: [1, 2]", [1, 2]),
        ("[1, 2]", [1, 2]),
        ("```\n[1, 2]\n```", [1, 2]),
    ],
)
def test_reads_the_list(reply: str, expected: list[int]) -> None:
    assert read_list(reply, "keep") == expected


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "  ",
        "I do not know.",
        "[1] is good",
        '{"keep": 3}',
        '{"keep":',
        '{"facts": [1]}',
        "[" * 9000,
    ],
)
def test_refuses_what_holds_no_list(reply: str) -> None:
    with pytest.raises(ReplyError):
        read_list(reply, "keep")


def test_the_error_shows_the_reply() -> None:
    with pytest.raises(ReplyError, match=r"'keep'.*sorry"):
        read_list("sorry", "keep")


def test_a_cut_off_item_keeps_the_whole_ones() -> None:
    found = read_list('{"facts": [{"topic": "a", "memory": 1}, {"topic": "b', "facts")
    assert found[0] == {"topic": "a", "memory": 1}


@given(st.text(max_size=120))
def test_any_reply_gives_a_list_or_a_reply_error(reply: str) -> None:
    for text in (reply, '{"keep": ' + reply, "[" + reply):
        with contextlib.suppress(ReplyError):
            assert isinstance(read_list(text, "keep"), list)


def test_a_reply_that_is_hard_to_repair_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []
    monkeypatch.setattr(json_repair, "loads", lambda text, **_: tried.append(text))
    with pytest.raises(ReplyError):
        read_list(('{"a": [1, 2, "b"' * 300 + ' "keep": {') * 6, "keep")
    assert 2 <= len(tried) == len(set(tried))
    assert sum(map(len, tried)) <= 40_000


@pytest.mark.parametrize(
    ("value", "index"),
    [(1, 0), (3, 2), ("2", 1), ("[2]", 1), (2.0, 1), ("memory 3", 2)]
    + [(v, None) for v in (0, 4, -1, "-1", 1.5, True, None, "two", [1], "1, 2", "")],
)
def test_reads_numbers_of_memories(value: object, index: int | None) -> None:
    assert read_number(value, 3) == index


def test_reads_text_on_one_line_unescaped() -> None:
    assert read_text({"a": " x\n &lt;b> "}, "a") == "x <b>"
    assert read_text({"a": 2023}, "a") == "2023"
    for item in ({"a": None}, {"a": ["x"]}, {"a": True}, {}, "text", None):
        assert read_text(item, "a") == ""


def test_a_lone_surrogate_of_a_reply_is_replaced() -> None:
    (item,) = read_list('{"facts": [{"fact": "so happy \\ud83d"}]}', "facts")
    assert read_text(item, "fact").encode() == "so happy \ufffd".encode()
