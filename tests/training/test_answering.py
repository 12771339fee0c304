"""What is kept of an answer: its costs, once each, and how much of the evidence it rests on."""

import asyncio
import io
from dataclasses import replace

import pytest
from rich.console import Console

from tests.training.rollouts.test_walks import QUESTION, walker
from training.answering import Answering
from training.arms import Pinned, Plain
from training.reporting.results import Results
from training.rollouts.paths import parse

EVIDENCE = {"there": ("t1",), "half": ("t1", "another"), "unknown": ()}


async def kept(folder, arm, *questions):
    """The answers, and the results that are kept of them."""
    results, console = Results(folder, {}), Console(file=io.StringIO())
    answering = Answering(walker(), results, "code", None, asyncio.Semaphore(1), console)
    await answering.run([(arm, question) for question in questions], [])
    return (
        [await arm.answer(walker(), question) for question in questions],
        [results.get(arm.name, question.id) for question in questions],
    )


@pytest.mark.parametrize("arm", [Pinned(parse("HHHHH")), Plain(2), Plain(0)])
async def test_costs_are_the_receipts_and_the_answer_counts_once(tmp_path, arm):
    (answered,), (result,) = await kept(tmp_path, arm, QUESTION)
    receipt = answered.receipt
    before = receipt.retrieval.cost_usd + sum(step.usage.cost_usd for step in receipt.steps)
    assert result.costs_usd.total == pytest.approx(receipt.total.cost_usd)
    assert result.costs_usd.query == pytest.approx(before)
    assert result.costs_usd.answer == receipt.answer.cost_usd > 0
    assert (result.costs_usd.query > 0) == (arm != Plain(0))


async def test_recall_is_of_the_evidence_that_the_answer_rests_on(tmp_path):
    asked = [replace(QUESTION, id=name, evidence=turns) for name, turns in EVIDENCE.items()]
    _, constant = await kept(tmp_path / "constant", Pinned(parse("LLLLL")), *asked)
    assert [each.recall for each in constant] == [1.0, 0.5, None]
    _, without = await kept(tmp_path / "without", Plain(0), *asked)
    assert [each.recall for each in without] == [0.0, 0.0, None]
