from __future__ import annotations

import subprocess
from types import SimpleNamespace

from docsite import commands

TYPED = """# `budgetmem`

Agent memory.

\b
budgetmem ingest trip chat.jsonl
budgetmem info

**Usage**:

## `budgetmem info`

\b
budgetmem info --json

"""


def test_examples_keep_their_lines_and_the_page_has_a_title(monkeypatch):
    monkeypatch.setattr(subprocess, "run", lambda *words, **how: SimpleNamespace(stdout=TYPED))
    made = commands.page()
    assert made.startswith("# Command line\n")
    assert "```sh\nbudgetmem ingest trip chat.jsonl\nbudgetmem info\n```\n\n**Usage**" in made
    assert "## `budgetmem info`\n\n```sh\nbudgetmem info --json\n```\n" in made
