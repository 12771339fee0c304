"""Every code block of the documentation does what its page says, as far as a test can tell."""

from __future__ import annotations

import json
from importlib.metadata import EntryPoint

import pytest
import yaml
from pydantic import ValidationError

from budgetmem import cli
from budgetmem.backbone_config import PROFILE_FOLDER
from budgetmem.client import Client
from budgetmem.config import Profile
from budgetmem.types import Turn
from tests.docs.blocks import ALL, PAGES, ROOT, SHELL
from tests.docs.programs import PROGRAMS, PROJECT, tomllib
from tests.docs.shell import commands

# Most of it is the imports of frameworks and of torch.
pytestmark = pytest.mark.timeout(600)

SERVER = "127.0.0.1:50051"
"""Where examples find a server; it stands for that of the tests."""

TURNS = [Turn("t1", "Ana", "I moved to Lisbon in May."), Turn("t2", "Bo", "Rex came along.")]
BASES = ("examples/endpoint.toml", *(f"budgetmem/profiles/{n}.toml" for n in ("small", "gpu")))

READERS = {
    "json": json.loads,
    "jsonl": lambda text: [json.loads(line) for line in text.splitlines()],
    "yaml": lambda text: list(yaml.safe_load_all(text)),
}


def of(*languages):
    found = [block for block in ALL if block.language in languages and not block.reason]
    return pytest.mark.parametrize("block", found, ids=str)


@pytest.fixture(scope="module")
def trip(address):
    """The address of a server that has the history that pages ask."""
    with Client(address) as client:
        client.ingest("trip", TURNS)
    return address


@pytest.fixture
def declared(monkeypatch):
    """Commands as pyproject.toml declares them, whatever an older install knows."""
    found = PROJECT["entry-points"][cli.GROUP].items()
    entries = [EntryPoint(name, target, cli.GROUP) for name, target in found]
    monkeypatch.setattr(cli, "entry_points", lambda group: entries)


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if any(b.page == page and b.language == "python" for b in ALL)],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_python_runs_from_the_top_of_a_page_to_its_end(page, trip, desk):
    names = {"__name__": "documentation"}
    for block in ALL:
        if block.page == page and block.language == "python" and not block.reason:
            source = "\n" * (block.line - 1) + block.text.replace(SERVER, trip)
            code = compile(source, page, "exec", dont_inherit=True)
            exec(code, names)  # noqa: S102 - our own pages


@of(SHELL, "console")
def test_commands_are_understood(block, desk, declared):
    for program, *words in commands(block.text):
        assert program in PROGRAMS, f"say in PROGRAMS how {program!r} is checked"
        with pytest.MonkeyPatch.context() as patched:
            PROGRAMS[program](words, patched)


@of("toml")
def test_a_profile_loads_laid_over_a_whole_one(block):
    part = tomllib.loads(block.text)
    faults = [fault for base in BASES if (fault := _fault(base, part))]
    assert len(faults) < len(BASES), faults


@of(*READERS)
def test_data_can_be_read(block):
    assert READERS[block.language](block.text)


def test_every_block_has_a_test_or_a_reason():
    known = {SHELL, "console", "python", "toml", "text", *READERS}
    unknown = [f"{block}: {block.language}" for block in ALL if block.language not in known]
    assert not unknown, "say how they are tested, or mark them: <!-- not run: REASON -->"


@pytest.mark.parametrize("block", [block for block in ALL if block.reason], ids=str)
def test_blocks_that_are_not_run(block):
    """Lists them: `pytest -ra` shows the reasons. What is Python must be Python all the same."""
    if block.language == "python":
        compile(block.text, str(block), "exec")
    pytest.skip(block.reason)


def _merged(below, above):
    tables = {key for key in below.keys() & above.keys() if isinstance(above[key], dict)}
    return {**below, **above, **{key: _merged(below[key], above[key]) for key in tables}}


def _fault(base, part):
    whole = _merged(tomllib.loads((ROOT / base).read_text(encoding="utf-8")), part)
    try:
        Profile.model_validate(whole, context={PROFILE_FOLDER: ROOT / "examples"})
    except ValidationError as exc:
        return f"{base}: {exc}"
    return None
