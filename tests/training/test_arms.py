"""The ways of answering that an evaluation compares."""

import pytest

from budgetmem.errors import ConfigError
from budgetmem.router import FixedRouter
from budgetmem.tiers import Tier
from tests.fakes import CHUNKS
from tests.training.rollouts.test_walks import QUESTION, Listening, fakes, walker
from training.arms import BASELINES, Pinned, Plain, Routed, baseline, baselines
from training.rollouts.paths import parse


async def test_pinned_tiers_are_those_of_the_path():
    arm = Pinned(parse("LMHLM"))
    found = await arm.answer(walker(), QUESTION)
    assert arm.name == "LMHLM"
    assert [step.choice.tier for step in found.receipt.steps] == list(parse("LMHLM"))
    assert found.receipt.answer is not None


async def test_a_router_is_asked_at_its_lambda():
    asked = []

    class Asked(FixedRouter):
        async def choose(self, decisions):
            asked.extend(each.cost_weight for each in decisions)
            return await super().choose(decisions)

    arm = Routed("mine", Asked(default=Tier.LOW), 0.3)
    found = await arm.answer(walker(), QUESTION)
    assert arm.name == "mine@0.3"
    assert set(asked) == {0.3}
    assert {step.choice.tier for step in found.receipt.steps} == {Tier.LOW}


async def test_plain_retrieval_gives_the_chunks_as_they_are_to_the_answerer():
    prompts, retriever = [], Listening()
    models = fakes(lambda prompt: prompts.append(prompt) or "a cat")
    found = await Plain(2).answer(walker(models=models, retriever=retriever), QUESTION)
    assert retriever.asked[0][3] == 512
    (prompt,) = prompts
    assert all(chunk.text.splitlines()[0] in prompt for chunk in CHUNKS if chunk.time is None)
    assert found.text == "a cat"
    assert found.turn_ids == {turn for chunk in CHUNKS for turn in chunk.turn_ids}
    receipt = found.receipt
    assert receipt.total.cost_usd == receipt.retrieval.cost_usd + receipt.answer.cost_usd > 0


async def test_plain_retrieval_in_the_pipelines_own_budget():
    for budget in (None, 300):
        retriever = Listening()
        found = await Plain(None).answer(walker(retriever=retriever, max_tokens=budget), QUESTION)
        assert [asked[3] for asked in retriever.asked] == [budget]
        assert found.receipt.total.cost_usd > 0
    assert Plain(None).name == "plain"
    assert Plain(None) in BASELINES


async def test_without_memory_nothing_is_retrieved():
    retriever = Listening()
    found = await Plain(0).answer(walker(retriever=retriever), QUESTION)
    assert retriever.asked == []
    assert found.turn_ids == frozenset()
    assert found.receipt.retrieval.cost_usd == 0
    assert Plain(0).name == "no-memory"


def test_baselines_by_name():
    assert baselines("all") == BASELINES
    assert baselines("none") == ()
    names = ("no-memory", "plain", "plain-5", "plain-37", "HHHHH", "LMHLM")
    assert tuple(arm.name for arm in baselines(",".join(names))) == names


@pytest.mark.parametrize(
    "name", ["", "plains", "plain-0", "plain--1", "LMH", "LMHLX", "everything"]
)
def test_another_name_is_refused(name):
    with pytest.raises(
        ConfigError, match=r"--baselines: .* is not one of no-memory, plain, plain-2"
    ):
        baseline(name)
