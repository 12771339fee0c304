from __future__ import annotations

import importlib.util
from itertools import pairwise
from pathlib import Path

import pytest

from budgetmem.proto.generate import ROOT, generate

FOLDER = Path("budgetmem/proto/budgetmem/v1")
PROTOS = ["admin", "memory"]
GENERATED = [
    f"{name}_pb2{of}" for name in PROTOS for of in (".py", ".pyi", "_grpc.py", "_grpc.pyi")
]


@pytest.mark.skipif(
    importlib.util.find_spec("grpc_tools") is None, reason="grpcio-tools is not installed"
)
def test_the_committed_code_is_what_the_proto_generates(tmp_path):
    generate(tmp_path)
    assert sorted(p.name for p in (tmp_path / FOLDER).iterdir()) == sorted(GENERATED)
    for name in GENERATED:
        assert (tmp_path / FOLDER / name).read_text() == (ROOT / FOLDER / name).read_text(), name


@pytest.mark.parametrize("name", PROTOS)
def test_every_field_is_commented(name):
    lines = (ROOT / FOLDER / f"{name}.proto").read_text().splitlines()
    bare = [
        line
        for before, line in pairwise(lines)
        if line.startswith(("  ", "message", "enum"))
        and line.rstrip().endswith((";", "{"))
        and not before.strip().startswith("//")
        and not line.strip().startswith("//")
    ]
    assert bare == []
