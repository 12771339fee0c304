"""Messages as JSON Schema: what protobuf's canonical JSON makes of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

Schema: TypeAlias = dict[str, Any]

REQUIRED = "Required."
"""So ends the comment of a field that a request must have."""

FILLED: Mapping[str, Schema] = {"string": {"minLength": 1}, "array": {"minItems": 1}}
"""What is required is not empty either: protobuf does not tell that from what is left out."""

SCALARS: Mapping[int, Schema] = {
    FieldDescriptor.TYPE_STRING: {"type": "string"},
    FieldDescriptor.TYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.TYPE_DOUBLE: {"type": "number", "format": "double"},
    FieldDescriptor.TYPE_INT32: {"type": "integer", "format": "int32"},
    # Text, because numbers of JavaScript are exact up to 2^53 only.
    FieldDescriptor.TYPE_INT64: {"type": "string", "format": "int64", "pattern": "^-?[0-9]+$"},
}
"""Of the types that our messages have."""


def reached(roots: Iterable[Descriptor]) -> dict[str, Descriptor | EnumDescriptor]:
    """The messages and enums that these messages are made of, themselves too, by name."""
    found: dict[str, Descriptor | EnumDescriptor] = {}
    waiting: list[Descriptor | EnumDescriptor] = list(roots)
    while waiting:
        each = waiting.pop()
        if each.name not in found:
            found[each.name] = each
            waiting += _parts(each)
    return found


def schema_of(
    described: Descriptor | EnumDescriptor,
    comments: Mapping[str, str],
    *,
    sent: bool,
    left_out: Iterable[str] = (),
) -> Schema:
    """The schema of a message or an enum, without some of its fields.

    One that is `sent` by callers must have, and fill, what its comments say is required; one of the
    server's has all that is not optional.
    """
    if isinstance(described, EnumDescriptor):
        return _enum(described, comments)
    fields = [field for field in described.fields if field.name not in left_out]
    properties = {
        field.json_name: _property(field) | {"description": comments[field.full_name]}
        for field in fields
    }
    required = [
        field.json_name
        for field in fields
        if (comments[field.full_name].endswith(REQUIRED) if sent else not field.has_presence)
    ]
    for name in required if sent else ():
        properties[name] |= FILLED.get(properties[name].get("type", ""), {})
    schema: Schema = {
        "type": "object",
        "description": comments[described.full_name],
        "properties": properties,
    }
    return schema | ({"required": required} if required else {})


def reference(name: str) -> Schema:
    """A schema by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def _enum(described: EnumDescriptor, comments: Mapping[str, str]) -> Schema:
    values = [f"- `{value.name}`: {comments[_path(value)]}" for value in described.values]
    return {
        "type": "string",
        "description": "\n".join([comments[described.full_name], "", *values]),
        "enum": [value.name for value in described.values],
    }


def _path(value: Any) -> str:  # noqa: ANN401  (its class has no public type)
    return f"{value.type.full_name}.{value.name}"


def _property(field: FieldDescriptor) -> Schema:
    value = _map_value(field)
    if value is not None:
        return {"type": "object", "additionalProperties": _one(value)}
    if field.is_repeated:
        return {"type": "array", "items": _one(field)}
    return _one(field)


def _one(field: FieldDescriptor) -> Schema:
    made_of = field.message_type or field.enum_type
    return SCALARS[field.type] if made_of is None else reference(made_of.name)


def _parts(described: Descriptor | EnumDescriptor) -> Iterator[Descriptor | EnumDescriptor]:
    for field in () if isinstance(described, EnumDescriptor) else described.fields:
        part = _map_value(field) or field
        made_of = part.message_type or part.enum_type
        if made_of is not None:
            yield made_of


def _map_value(field: FieldDescriptor) -> FieldDescriptor | None:
    """What the values of a map are; None for what is no map."""
    entry = field.message_type
    if entry is None or not entry.GetOptions().map_entry:
        return None
    return entry.fields_by_name["value"]
