"""The quickstart's commands do on a server what the page says; its models are fakes here."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from budgetmem import cli
from budgetmem.client import Client
from tests.docs.blocks import ALL, ROOT, SHELL
from tests.docs.shell import commands

pytestmark = pytest.mark.timeout(600)

RUN = {"ingest", "histories", "extract", "answer", "delete"}
"""The others install, download, or serve until they are stopped."""

BLOCKS = [block for block in ALL if block.page == ROOT / "docs" / "quickstart.md"]
COMMANDS = [
    words
    for block in BLOCKS
    if block.language == SHELL
    for program, *words in commands(block.text)
    if program == "budgetmem" and words[0] in RUN
]


@pytest.fixture(scope="module")
def outputs(address, tmp_path_factory):
    """What each command printed, run from the top of the page to its end; the reader's own files
    are the one that the page shows, and a transcript."""
    desk = tmp_path_factory.mktemp("desk")
    for name in ("examples", "server"):
        (desk / name).symlink_to(ROOT / name)
    [shown] = [block.text for block in BLOCKS if block.language == "jsonl"]
    (desk / "chat.jsonl").write_text(shown, encoding="utf-8")
    (desk / "meeting.txt").write_text("Ana: Hello.\nBo: Hi.\n", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(desk)
        return [printed(words, address) for words in COMMANDS]


def printed(words, address):
    environment = {"BUDGETMEM_SERVER": address, "BUDGETMEM_TENANT": "reader"}
    result = CliRunner().invoke(cli.app, words, env=environment)
    assert result.exit_code == 0, f"budgetmem {' '.join(words)}: {result.output}"
    return result.stdout


def output_of(outputs, *words):
    """Of the first command that begins so."""
    of = zip(COMMANDS, outputs, strict=True)
    return next(text for command, text in of if command[: len(words)] == list(words))


def test_every_kind_of_command_is_run(outputs):
    assert {words[0] for words in COMMANDS} == RUN
    assert all(outputs)


def test_the_history_is_as_large_as_the_page_says(outputs):
    page = (ROOT / "docs" / "quickstart.md").read_text(encoding="utf-8")
    assert "311 turns in 16 sessions" in page
    listed = output_of(outputs, "histories")
    [friends] = [line for line in listed.splitlines() if "friends" in line]
    assert {"311", "16"} <= set(friends.split())


def test_a_memory_comes_with_a_line_of_receipt_for_every_module(outputs):
    told = output_of(outputs, "extract", "friends")
    assert all(module in told for module in ("filter", "entity", "temporal", "topic", "summary"))
    assert "dinghy" in told


def test_an_answer_comes_with_what_it_cost(outputs):
    assert "USD" in output_of(outputs, "answer", "friends")


def test_what_is_deleted_is_gone_and_the_rest_is_there(outputs, address):
    assert "2 turns" in output_of(outputs, "delete", "trip")
    with Client(address, tenant="reader", timeout_s=60) as client:
        assert {info.history for info in client.histories()} == {"friends", "notes"}
