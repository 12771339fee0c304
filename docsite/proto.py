"""The gRPC reference, from the .proto files: their descriptors, and their comments."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import takewhile

from google.protobuf.descriptor import (
    Descriptor,
    EnumDescriptor,
    FieldDescriptor,
    FileDescriptor,
    ServiceDescriptor,
)

from budgetmem.proto.budgetmem.v1 import admin_pb2, memory_pb2
from budgetmem.proto.generate import ROOT
from docsite.markdown import cell, table

FILES: tuple[FileDescriptor, ...] = (memory_pb2.DESCRIPTOR, admin_pb2.DESCRIPTOR)

SCALARS: Mapping[int, str] = {
    FieldDescriptor.TYPE_STRING: "string",
    FieldDescriptor.TYPE_BOOL: "bool",
    FieldDescriptor.TYPE_DOUBLE: "double",
    FieldDescriptor.TYPE_INT32: "int32",
    FieldDescriptor.TYPE_INT64: "int64",
}
"""The types of our messages that are no messages, as a .proto writes them."""

Comments = Mapping[str, str]


def page(comments: Comments) -> str:
    """All files in Markdown; `comments` are by full name, as `server.http.comments` reads them."""
    parts = ["# gRPC\n\nMade from the `.proto` files, which come with the package."]
    parts += [part for file in FILES for part in _file(file, comments)]
    return "\n\n".join(parts) + "\n"


def _file(file: FileDescriptor, comments: Comments) -> Iterator[str]:
    yield f"## {file.name.rpartition('/')[2]}"
    yield f"```text\n{_head(file)}\n```"
    for service in file.services_by_name.values():
        yield from _service(service, comments)
    for message in file.message_types_by_name.values():
        yield from _message(message, comments)
    for enum in file.enum_types_by_name.values():
        yield from _enum(enum, comments)


def _head(file: FileDescriptor) -> str:
    """What the file says of itself, before anything else; in columns, so as it stands."""
    lines = (ROOT / file.name).read_text(encoding="utf-8").splitlines()
    said = takewhile(lambda line: line.startswith("//"), lines)
    return "\n".join(line.removeprefix("//").removeprefix(" ") for line in said)


def _service(service: ServiceDescriptor, comments: Comments) -> Iterator[str]:
    for method in service.methods:
        streamed = "stream of " if method.server_streaming else ""
        yield f"### {service.name}.{method.name}"
        yield f"{_link(method.input_type)} → {streamed}{_link(method.output_type)}"
        yield cell(comments[method.full_name])


def _message(message: Descriptor, comments: Comments) -> Iterator[str]:
    yield f"### {message.name}"
    yield cell(comments[message.full_name])
    rows = [
        (f"`{field.name}`", str(field.number), _type(field), comments[field.full_name])
        for field in message.fields
    ]
    if rows:
        yield table(("field", "number", "type", ""), rows)


def _enum(enum: EnumDescriptor, comments: Comments) -> Iterator[str]:
    yield f"### {enum.name}"
    yield cell(comments[enum.full_name])
    rows = [
        (f"`{value.name}`", str(value.number), comments[f"{enum.full_name}.{value.name}"])
        for value in enum.values
    ]
    yield table(("value", "number", ""), rows)


FORMS: tuple[tuple[Callable[[FieldDescriptor], bool], str], ...] = (
    (lambda field: field.is_repeated, "repeated {}"),
    (lambda field: field.has_presence and field.message_type is None, "optional {}"),
    (lambda field: True, "{}"),
)
"""How a field is written, by the first condition that holds."""


def _type(field: FieldDescriptor) -> str:
    entry = field.message_type
    if entry is not None and entry.GetOptions().map_entry:
        key, value = (entry.fields_by_name[name] for name in ("key", "value"))
        return f"map of {_one(key)} to {_one(value)}"
    form = next(form for holds, form in FORMS if holds(field))
    return form.format(_one(field))


def _one(field: FieldDescriptor) -> str:
    made_of = field.message_type or field.enum_type
    return SCALARS[field.type] if made_of is None else _link(made_of)


def _link(made_of: Descriptor | EnumDescriptor) -> str:
    return f"[{made_of.name}](#{made_of.name.lower()})"
