"""Regenerates the Python code of the .proto files: `python budgetmem/proto/generate.py [OUT_DIR]`.

Needs grpcio-tools and mypy-protobuf (the `dev` extra). The include path is the project root, so
that the generated modules import one another as `budgetmem.proto.budgetmem.v1.memory_pb2`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROTOS = tuple(f"budgetmem/proto/budgetmem/v1/{name}.proto" for name in ("admin", "memory"))


def command(out: Path) -> list[str]:
    """The protoc command that writes all generated files below `out`."""
    return [
        sys.executable,
        *("-m", "grpc_tools.protoc", f"--proto_path={ROOT}"),
        *(f"--python_out={out}", f"--mypy_out=quiet:{out}"),
        *(f"--grpc_python_out={out}", f"--mypy_grpc_out=quiet:{out}"),
        *PROTOS,
    ]


def generate(out: Path = ROOT) -> None:
    """Writes the generated files below `out`. Raises CalledProcessError if protoc refuses."""
    # protoc finds its plug-ins by PATH, where an environment that is not activated is not.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    subprocess.run(command(out), check=True, cwd=ROOT, env={**os.environ, "PATH": path})


if __name__ == "__main__":
    generate(*(Path(argument).resolve() for argument in sys.argv[1:2]))
