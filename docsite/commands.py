"""The reference of the `budgetmem` command, by typer's own generator of documentation."""

from __future__ import annotations

import re
import subprocess
import sys

# typer marks a paragraph of `--help` that keeps its lines: ours are examples.
EXAMPLES = re.compile(r"^\x08\n(.+?)(?=\n\n|\Z)", re.DOTALL | re.MULTILINE)
COMMAND = [sys.executable, "-m", "typer", "budgetmem.cli", "utils", "docs", "--name", "budgetmem"]


def page() -> str:
    """Every command with its options. Raises CalledProcessError if typer refuses."""
    made = subprocess.run(COMMAND, check=True, capture_output=True, text=True).stdout
    return EXAMPLES.sub(r"```sh\n\1\n```", made).replace("# `budgetmem`\n", "# Command line\n", 1)
