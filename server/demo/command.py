"""`budgetmem demo`."""

from __future__ import annotations

from budgetmem.commands.grouped import grouped
from server.demo.options import DemoOptions


@grouped
def demo(options: DemoOptions) -> None:
    """Show the main job, end to end: serve, ingest a conversation, ask within budgets.

    Everything is real: a server of its own, its LLM backbones on a Triton that it starts (needs the
    extra `embedded`), a store in a temporary folder. Questions are asked with every module pinned
    to Low, Mid and High; where the profile has a trained router, the first question only, and all
    of them at some cost weights (lambda), by which the router chooses.

    \b
    budgetmem demo --profile tiny
    budgetmem demo --questions 5 --cost-weight 0 --cost-weight 2 --output demo.json
    """
    # Imported here, so that `budgetmem --help` stays fast.
    from server.demo.running import run  # noqa: PLC0415

    run(options)
