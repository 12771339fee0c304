"""What is told of a message's bytes is what protobuf makes of them."""

from __future__ import annotations

import pytest
from google.protobuf.message import DecodeError
from hypothesis import example, given
from hypothesis import strategies as st

from budgetmem.errors import InvalidInput
from budgetmem.info import Limits
from budgetmem.proto.budgetmem.v1 import memory_pb2 as pb
from budgetmem.validation import MAX_METADATA
from budgetmem.wire.parts import TURN_PARTS, check_turn_ids, count_turns

FEW = Limits(message_turns=5)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
LABELS = {f"k{number}": "x" * number for number in range(MAX_METADATA)}


@given(TEXT, st.lists(st.tuples(TEXT, TEXT, st.dictionaries(TEXT, TEXT, max_size=3)), max_size=5))
def test_ordinary_messages_pass(history, said):
    turns = [
        pb.Turn(id="1", speaker=speaker, text=text, time="2023-05-08", caption="", metadata=labels)
        for speaker, text, labels in said
    ]
    raw = pb.IngestRequest(history=history, turns=turns).SerializeToString()
    assert count_turns(raw, FEW) == len(turns)
    ids = pb.DeleteTurnsRequest(history=history, turn_ids=[text for _, text, _ in said])
    check_turn_ids(ids.SerializeToString(), FEW)


def test_as_many_turns_as_may_be_with_as_many_labels_and_no_more():
    turn = pb.Turn(
        **dict.fromkeys(("id", "speaker", "text", "time", "session", "caption"), "x"),
        metadata=LABELS,
    )
    message = pb.IngestRequest(history="h", turns=[turn] * 5)
    assert count_turns(message.SerializeToString(), FEW) == 5
    message.turns.add()
    with pytest.raises(InvalidInput, match="5 are the most of one message") as caught:
        count_turns(message.SerializeToString(), FEW)
    assert caught.value.field == "turns"
    turns = [pb.Turn(id="1"), pb.Turn(metadata={f"k{number}": "" for number in range(99)})]
    with pytest.raises(InvalidInput, match="its metadata among them") as caught:
        count_turns(pb.IngestRequest(turns=turns).SerializeToString(), FEW)
    assert caught.value.field == "turns[1]"


def test_as_many_turn_ids_as_may_be_and_no_more():
    check_turn_ids(pb.DeleteTurnsRequest(history="h", turn_ids="abcde").SerializeToString(), FEW)
    with pytest.raises(InvalidInput) as caught:
        check_turn_ids(
            pb.DeleteTurnsRequest(history="h", turn_ids="abcdef").SerializeToString(), FEW
        )
    assert caught.value.field == "turn_ids"


@pytest.mark.parametrize(
    "padding",
    [
        pytest.param(b"\x0a\x00", id="history again"),
        pytest.param(b"\x58\x00", id="a number nobody knows"),
        pytest.param(b"\x5b\x5c", id="a group nobody knows"),
        pytest.param(b"\xd9\x01" + b"x" * 8, id="eight bytes nobody knows"),
    ],
)
def test_whatever_the_parts_are_they_are_few(padding):
    with pytest.raises(InvalidInput):
        count_turns(padding * 1_000_000 + b"\x12\x00", FEW)
    turn = padding * 1_000
    with pytest.raises(InvalidInput):
        count_turns(b"\x12" + _varint(len(turn)) + turn, FEW)


def _varint(number: int, padding: int = 0) -> bytes:
    """`padding` bytes longer than need be, which protobuf reads as well."""
    low = number & 0x7F
    if number < 0x80 and not padding:
        return bytes([low])
    return bytes([low | 0x80]) + _varint(number >> 7, max(padding - 1, 0))


@st.composite
def encoded(draw, depth=2):
    """Parts of any field and wire type, well-formed as a rule."""
    raw = b""
    for _ in range(draw(st.integers(0, 5))):
        number, kind = draw(st.integers(1, 9)), draw(st.sampled_from([0, 1, 2, 2, 2, 3, 5]))
        raw += _varint(number << 3 | kind, draw(st.integers(0, 2)))
        content = draw(encoded(depth - 1)) if depth else draw(st.binary(max_size=4))
        raw += {
            0: _varint(draw(st.integers(0, 2**64 - 1))),
            1: b"12345678",
            2: _varint(len(content), draw(st.integers(0, 2))) + content,
            3: content + _varint(number << 3 | 4),
            5: b"1234",
        }[kind]
    return raw + draw(st.binary(max_size=2))


@given(st.one_of(encoded(), st.binary(max_size=60)))
@example(b"\x12\x80")
@example(b"\x12" + b"\x80" * 20)
@example(b"\x17")
@example(b"\x12\x05")
def test_no_bytes_have_more_turns_than_are_told(raw):
    """Nor fail here: what is wrong with them is protobuf's to say."""
    told = count_turns(raw, Limits())
    try:
        message = pb.IngestRequest.FromString(raw)
    except DecodeError:
        return
    assert len(message.turns) <= told
    assert all(len(turn.metadata) <= TURN_PARTS for turn in message.turns)
