"""The demonstration from its beginning to its end: models, a server, a history, questions."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from rich.console import Console

from budgetmem import assets
from budgetmem.client import Client
from budgetmem.config import load_profile
from budgetmem.errors import InvalidInput
from budgetmem.importers import jsonl
from budgetmem.tiers import STRATEGIES
from server.child import serving
from server.demo.asking import HISTORY, ask, choose_strategy, cost_weights, plan, read_questions
from server.demo.options import DemoOptions
from server.demo.report import show, write

CONVERSATION = Path(__file__).with_name("conversation.jsonl")
COST_WEIGHTS = (0.0, 0.3, 0.9)
PIPED_WIDTH = 140
"""Columns of the tables where no terminal says its own."""


def run(options: DemoOptions) -> None:
    """Runs it and prints what came of it.

    Raises InvalidInput for a strategy that there is not, AssetError for models that cannot be had,
    BackboneUnavailable for a server that does not start, and what its client raises.
    """
    if options.strategy is not None and options.strategy not in STRATEGIES:
        raise InvalidInput("strategy", f"must be one of {', '.join(STRATEGIES)}")
    console = Console(width=None if sys.stdout.isatty() else PIPED_WIDTH)
    if options.pull:
        assets.pull(load_profile(options.profile).assets, progress=assets.progress_for(quiet=False))
    questions = read_questions(options.questions)
    with tempfile.TemporaryDirectory(prefix="budgetmem-demo-") as folder:
        routers = [word for path in options.router or () for word in ("--router", str(path))]
        child = serving("--profile", options.profile, "--data-dir", folder, *routers)
        with child as served, Client(served.address) as client:
            console.print(f"service ready on {served.address} in {served.ready_seconds:.1f} s")
            report = client.ingest(HISTORY, jsonl.read(CONVERSATION)["conversation"])
            console.print(f"ingested {report.added} turns as {report.chunks} chunks")
            info = client.info()
            strategy = choose_strategy(options.strategy, info)
            weights = cost_weights(options.cost_weight or COST_WEIGHTS, info, strategy)
            rows = ask(client, plan(questions, weights), strategy, console)
    show(console, info, strategy, rows)
    if options.output is not None:
        write(options.output, info, strategy, served.ready_seconds, rows)
        console.print(f"wrote {options.output}")
