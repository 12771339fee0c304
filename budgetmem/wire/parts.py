"""How many parts an encoded message has, told from its bytes alone.

An empty turn is two bytes of a message, and a hundred and more as an object of protobuf: what a
message takes is known before it is decoded, or too late.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from budgetmem.errors import InvalidInput
from budgetmem.info import Limits
from budgetmem.proto.budgetmem.v1 import memory_pb2 as pb
from budgetmem.validation import MAX_METADATA

TURNS = pb.IngestRequest.DESCRIPTOR.fields_by_name["turns"].number
TURN_PARTS = len(pb.Turn.DESCRIPTOR.fields) + MAX_METADATA
"""Of one turn: each of its labels is a part."""

VARINT, LENGTH = 0, 2
WIDTHS = {1: 8, 3: 0, 4: 0, 5: 4}
"""Bytes of a part's content, by the other wire types. What is in a group counts as beside it."""

VARINT_BYTES = 10


def check_turn_ids(raw: bytes, limits: Limits) -> None:
    """Raises InvalidInput if an encoded DeleteTurnsRequest has too many parts."""
    for _ in _few(raw, limits, "turn_ids"):
        pass


def count_turns(raw: bytes, limits: Limits) -> int:
    """The turns of an encoded IngestRequest. Raises InvalidInput if it, or one of them, has too
    many parts."""
    turns = 0
    for number, begin, end in _few(raw, limits, "turns"):
        if number == TURNS:
            _check_turn(raw, begin, end, f"turns[{turns}]")
            turns += 1
    return turns


def parts(raw: bytes, begin: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Of each part of the message in `raw[begin:end]` the number of its field, and where its
    content begins and ends.

    They end where the message is malformed: protobuf, which reads as far, says what is wrong.
    """
    try:
        while begin < end:
            tag, at = _varint(raw, begin)
            at, begin = _content(raw, at, tag & 7)
            if begin > end:
                return
            yield tag >> 3, at, begin
    except (IndexError, KeyError):
        return


def _few(raw: bytes, limits: Limits, field: str) -> Iterator[tuple[int, int, int]]:
    """The parts of a request that names its history, and has items of one field beside it."""
    most = limits.message_turns
    for count, part in enumerate(parts(raw, 0, len(raw))):
        if count > most:
            raise InvalidInput(
                field, f"are too many, {most} are the most of one message: send several"
            )
        yield part


def _check_turn(raw: bytes, begin: int, end: int, field: str) -> None:
    # No label is less than two bytes.
    if end - begin > 2 * TURN_PARTS and any(islice(parts(raw, begin, end), TURN_PARTS, None)):
        raise InvalidInput(field, f"has more than {TURN_PARTS} values, its metadata among them")


def _content(raw: bytes, at: int, kind: int) -> tuple[int, int]:
    if kind == LENGTH:
        size, at = _varint(raw, at)
        return at, at + size
    if kind == VARINT:
        return at, _varint(raw, at)[1]
    return at, at + WIDTHS[kind]


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    """The number, and where it ends."""
    if raw[at] < 0x80:  # as most are
        return raw[at], at + 1
    value = 0
    for place in range(VARINT_BYTES):
        byte = raw[at + place]
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return value, at + place + 1
    raise IndexError("a number without an end")
