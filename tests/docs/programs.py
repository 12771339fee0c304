"""Whether a command of the documentation is one: its program would take these words.

Commands are parsed by the program's own parser, and not begun.
"""

from __future__ import annotations

import argparse
import re
import runpy
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec

from typer.core import TyperCommand
from typer.testing import CliRunner

from budgetmem import cli
from tests.docs.blocks import ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
INSTALLED = re.compile(
    r"(?:budgetmem|\.|(?:[\w./-]+/)?budgetmem-[\w.-]+\.whl)(?:\[(?P<extras>[^\[\]]+)\])?"
)
"""What a page tells pip to install: the package, a clone, or a wheel's file."""


class Parsed(Exception):
    """The words were understood; what would come now is work."""


def _understood(*given: object, **more: object) -> None:
    raise Parsed


def budgetmem(words: Sequence[str], monkeypatch) -> None:
    monkeypatch.setattr(TyperCommand, "invoke", _understood)
    result = CliRunner().invoke(cli.app, list(words))
    assert isinstance(result.exception, Parsed), result.output


def python(words: Sequence[str], monkeypatch) -> None:
    module, *rest = words[1:] if words[0] == "-m" else words
    module = module.removesuffix(".py").replace("/", ".")
    assert find_spec(module), f"there is no module {module}"
    is_ours = (ROOT / module.partition(".")[0]).is_dir()
    if not (is_ours and rest):
        return
    monkeypatch.setattr(sys, "argv", [module, *rest])
    monkeypatch.setattr(TyperCommand, "invoke", _understood)
    parse = argparse.ArgumentParser.parse_args

    def parse_only(self, args=None, namespace=None):
        parse(self, args, namespace)
        raise Parsed

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_only)
    try:
        runpy.run_module(module, run_name="__main__")
    except Parsed:
        return
    except SystemExit as exc:
        raise AssertionError(f"python {' '.join(words)}: not understood") from exc
    raise AssertionError(f"python {' '.join(words)}: parsed nothing")


def make(words: Sequence[str], monkeypatch) -> None:
    for word in words:
        name, is_variable, _ = word.partition("=")
        form = rf"^{name} \?=" if is_variable else rf"^{name}:"
        assert re.search(form, MAKEFILE, re.MULTILINE) or f"$({name})" in MAKEFILE, word


def pip(words: Sequence[str], monkeypatch) -> None:
    command, *rest = words or [""]
    named = [word for word in rest if not word.startswith("-")]
    assert command == "install", command
    assert named, "nothing to install"
    for word in named:
        known = INSTALLED.fullmatch(word)
        assert known, f"{word} is neither budgetmem, this folder nor a wheel of it"
        extras = known["extras"].split(",") if known["extras"] else []
        assert set(extras) <= PROJECT["optional-dependencies"].keys(), word


def pytest(words: Sequence[str], monkeypatch) -> None:
    files = [word for word in words if word.endswith(".py")]
    assert files
    assert all((ROOT / file).is_file() for file in files)


def other(words: Sequence[str], monkeypatch) -> None:
    """Not ours: that its words are words is all that can be said."""


PROGRAMS: Mapping[str, Callable[..., None]] = {
    "budgetmem": budgetmem,
    "python": python,
    "python3": python,
    "make": make,
    "pip": pip,
    "pytest": pytest,
    # Those of docs/http.md are run by tests/server/http/test_docs.py.
    **dict.fromkeys(("curl", "psql", "git", "docker", "kubectl", "openssl", "pipx"), other),
    **dict.fromkeys((".", "cp", "echo", "mkdir", "sudo"), other),
}
