"""Whether an installed BudgetMem is whole. Run it by the Python that has it, outside a repository:

    python tests/packaging/installed.py

Needs nothing but the package itself. Exits with 1 where something is missing.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import entry_points, version
from pathlib import Path

DATA = {
    "budgetmem": (
        *("py.typed", "_core.pyi", "assets.toml", "profiles/small.toml", "proto/**/memory.proto"),
        *("prompts/filter/direct.txt", "routers/small/implementation/router.onnx"),
    ),
    "server": (
        *("demo/conversation.jsonl", "demo/questions.jsonl", "http/openapi.json"),
        *("console/index.html", "model_repository/encoder/1/model.py"),
    ),
}
COMMANDS = ("--version", "--help", "demo --help", "serve --help", "router info", "assets list")


def faults(where: Path) -> Iterator[str]:
    """What is wrong with the packages, which should come from `where`."""
    for name, patterns in DATA.items():
        folder = Path(str(import_module(name).__file__)).parent
        if where not in folder.parents:
            yield f"{name} comes from {folder}, not from {where}"
        yield from (f"{name} lacks {each}" for each in patterns if not [*folder.glob(each)])
    extensions = [path.name for path in where.glob("budgetmem/_core*.so")]
    if len(extensions) == 1:
        import_module("budgetmem._core")
    else:
        yield f"there should be one extension, not {extensions}"
    if import_module("budgetmem").__version__ != version("budgetmem"):
        yield "budgetmem.__version__ is not the version that is installed"
    for entry in entry_points(group="budgetmem.commands"):
        entry.load()


def failed_commands() -> Iterator[str]:
    """Commands that do not work, with what they say."""
    program = Path(sysconfig.get_path("scripts")) / "budgetmem"
    for each in COMMANDS:
        command = [sys.executable, str(program), *each.split()]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            yield f"budgetmem {each}: {done.stdout}{done.stderr}"


def main() -> None:
    """Prints what is wrong."""
    where = Path(sysconfig.get_path("purelib"))
    found = [*faults(where), *failed_commands()]
    print("\n".join(found) or f"budgetmem {version('budgetmem')} in {where} is whole")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
