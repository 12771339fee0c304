"""The receipts of one question, side by side."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from google.protobuf.json_format import ParseDict

from budgetmem.modules import MODULES
from budgetmem.proto.budgetmem.v1 import memory_pb2 as pb
from budgetmem.types import Receipt, Step, Usage
from budgetmem.wire.results import decode_receipt
from training.reporting.arm_names import routed
from training.reporting.cells import micro
from training.reporting.figures import Figures
from training.reporting.tables import Table

Told = Mapping[str, Mapping[str, Any]]
"""Receipts by way of answering, as figures have them."""


def told(figures: Figures) -> Told:
    """Those of the first question by every router: figures have no others."""
    question = figures.head.questions[0].id
    found = {}
    for arms in routed(figures.head.arms).values():
        for arm in arms.values():
            for each in figures.found[arm]:
                if each.question == question and each.receipt:
                    found[arm] = each.receipt
    return found


def side_by_side(receipts: Told) -> Table:
    """A row for each: tiers and how probable the router found them, tokens, micro-USD."""
    read = {
        arm: decode_receipt(ParseDict(dict(each), pb.Receipt())) for arm, each in receipts.items()
    }
    rows = [_row(arm, each) for arm, each in read.items()]
    return Table(("answered by", *MODULES, "retrieval", "answer", "micro-USD in all"), rows)


def whole(receipts: Told) -> str:
    """The first, as the service tells it."""
    arm, first = next(iter(receipts.items()))
    body = f"```json\n{json.dumps(first, indent=1)}\n```"
    return f"<details><summary>The whole receipt of {arm}</summary>\n\n{body}\n\n</details>"


def _row(arm: str, receipt: Receipt) -> list[str]:
    steps = {step.module: _chosen(step) for step in receipt.steps}
    modules = (steps.get(module, "") for module in MODULES)
    answer = _spent(receipt.answer) if receipt.answer else ""
    return [arm, *modules, _spent(receipt.retrieval), answer, micro(receipt.total.cost_usd)]


def _chosen(step: Step) -> str:
    """The tier that was chosen; one that it fell back to is the rung's."""
    tier = f"{step.choice.tier.label.title()} {step.choice.probabilities[step.choice.tier]:.0%}"
    spent = _spent(step.usage) if step.usage.calls else ""
    return "; ".join(filter(None, (tier, spent, step.rung if step.fallbacks else "")))


def _spent(usage: Usage) -> str:
    return f"{usage.input_tokens + usage.output_tokens} tokens, {micro(usage.cost_usd)}"
