"""The comments of the .proto files, which the generated code no longer has."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

from budgetmem.proto.generate import PROTOS, ROOT

PARTS: Mapping[str, str] = {
    "message_type": "field",
    "enum_type": "value",
    "service": "method",
}
"""What may be in a file, and what is in that; protobuf finds comments by such positions."""


def comments() -> dict[str, str]:
    """The comment of every message, field, enum, value, service and method, by its full name.

    Needs grpcio-tools (the `dev` extra). Raises CalledProcessError if protoc refuses.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "described"
        command = [sys.executable, "-m", "grpc_tools.protoc", f"--proto_path={ROOT}"]
        command += [f"--descriptor_set_out={out}", "--include_source_info", *PROTOS]
        subprocess.run(command, check=True, cwd=ROOT)
        described = FileDescriptorSet.FromString(out.read_bytes())
    return {name: text for file in described.file for name, text in _of_file(file)}


def _of_file(file: FileDescriptorProto) -> Iterator[tuple[str, str]]:
    texts = {
        tuple(location.path): _flowing(location.leading_comments)
        for location in file.source_code_info.location
    }
    for part, inner in PARTS.items():
        for path, each in _numbered(file, part):
            name = f"{file.package}.{each.name}"
            yield name, texts.get(path, "")
            for below, one in _numbered(each, inner):
                yield f"{name}.{one.name}", texts.get((*path, *below), "")


def _numbered(parent: Any, part: str) -> Iterator[tuple[tuple[int, int], Any]]:  # noqa: ANN401
    number = parent.DESCRIPTOR.fields_by_name[part].number
    for place, each in enumerate(getattr(parent, part)):
        yield (number, place), each


def _flowing(comment: str) -> str:
    """As one paragraph: a line of a comment ends where the file's lines do, and for no reason."""
    return re.sub(r"\s+", " ", comment).strip()
