"""Messages of any kind whose fields bytes choose."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from benchmarks.chaos.fuzz.source import Source

Sent = TypeVar("Sent", bound=Message)
Words = Sequence[str]
Make = Callable[[Source, Words], Any]
Fill = Callable[[Message, Source, Words], None]

MOST = 3
"""Elements of a repeated field or of a map."""

_ABSENT = 5
"""One field in so many is left out."""


def built(kind: type[Sent], source: Source, words: Words) -> Sent:
    """A message of that kind; its texts are made of `words`, and of anything."""
    message = kind()
    for fill in _fills(kind.DESCRIPTOR):
        if source.below(_ABSENT):
            fill(message, source, words)
    return message


@cache  # looking at descriptors takes longer than filling messages
def _fills(kind: Descriptor) -> tuple[Fill, ...]:
    return tuple(_fill_of(field) for field in kind.fields)


def _fill_of(field: FieldDescriptor) -> Fill:
    name = field.name
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return _fill_of_map(field.name, field.message_type)
    make = _make_of(field)
    if field.is_repeated:
        return lambda message, source, words: getattr(message, name).extend(
            make(source, words) for _ in source.times(MOST)
        )
    if field.message_type is not None:
        return lambda message, source, words: getattr(message, name).CopyFrom(make(source, words))
    return lambda message, source, words: setattr(message, name, make(source, words))


def _fill_of_map(field: str, entry: Descriptor) -> Fill:
    parts = entry.fields_by_name
    key, value = _make_of(parts["key"]), _make_of(parts["value"])
    of_messages = parts["value"].message_type is not None

    def fill(message: Message, source: Source, words: Words) -> None:
        entries = getattr(message, field)
        for _ in source.times(MOST):
            name, made = key(source, words), value(source, words)
            if of_messages:
                entries[name].CopyFrom(made)
            else:
                entries[name] = made

    return fill


def _make_of(field: FieldDescriptor) -> Make:
    if field.message_type is None:
        return _SCALARS[field.cpp_type]
    kind = GetMessageClass(field.message_type)
    return lambda source, words: built(kind, source, words)


def _signed(bits: int) -> Make:
    half = 1 << (bits - 1)
    return lambda source, _: (source.integer() + half) % (2 * half) - half


def _unsigned(bits: int) -> Make:
    return lambda source, _: source.integer() % (1 << bits)


_SCALARS: Mapping[int, Make] = {
    FieldDescriptor.CPPTYPE_STRING: lambda source, words: source.text(words),
    FieldDescriptor.CPPTYPE_BOOL: lambda source, _: bool(source.below(2)),
    FieldDescriptor.CPPTYPE_DOUBLE: lambda source, _: source.real(),
    FieldDescriptor.CPPTYPE_FLOAT: lambda source, _: source.real(),
    FieldDescriptor.CPPTYPE_INT32: _signed(32),
    FieldDescriptor.CPPTYPE_INT64: _signed(64),
    FieldDescriptor.CPPTYPE_UINT32: _unsigned(32),
    FieldDescriptor.CPPTYPE_UINT64: _unsigned(64),
    # An enum of proto3 may hold any number; most are near those that have a name.
    FieldDescriptor.CPPTYPE_ENUM: lambda source, _: source.below(6) - 1,
}
