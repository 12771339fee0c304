"""Messages whose fields are the scalars of a dataclass, under the same names."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, ClassVar, Protocol, TypeVar

from google.protobuf.message import Message


class _Dataclass(Protocol):
    __dataclass_fields__: ClassVar[dict[str, Any]]


Value = TypeVar("Value", bound=_Dataclass)
Sent = TypeVar("Sent", bound=Message)


def encode_scalars(value: _Dataclass, message: type[Sent]) -> Sent:
    """A message with the value's fields; ValueError if the message lacks one of them."""
    return message(**{f.name: getattr(value, f.name) for f in fields(value)})


def decode_scalars(message: Message, value: type[Value]) -> Value:
    """The value of a message; AttributeError if the message lacks one of the value's fields."""
    return value(**{f.name: getattr(message, f.name) for f in fields(value)})
