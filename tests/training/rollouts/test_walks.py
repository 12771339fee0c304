"""Walks over the pipeline that serves, and what is put down of them."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import product

import pytest

from budgetmem.backbone import HashEncoder, ModelSet, ScriptedTagger
from budgetmem.config import load_profile
from budgetmem.errors import BackboneUnavailable
from budgetmem.features import NAMES
from budgetmem.tiers import STRATEGIES, Tier
from budgetmem.types import Choice, Turn
from tests.fakes import CHUNKS, FixedRetriever, scripted
from training.datasets.base import Question
from training.rollouts.outcomes import OutcomeFile, Writer, read
from training.rollouts.paths import UNIFORM, constant, parse, planned, spell
from training.rollouts.recording import Recording, recorded
from training.rollouts.walks import Walker, Watching

SMALL = load_profile("small")
PLAN = tuple(dict.fromkeys([*planned("q1"), *UNIFORM]))
QUESTION = Question("q1", "chat", "What did Ana adopt?", "a cat", "single-hop", ("t1", "t3"))


@dataclass(frozen=True)
class Toys:
    """Gold is everything that has the gold answer's words."""

    name: str = "toys"
    sha256: str = "of the toys"
    splits: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def histories(self) -> Mapping[str, Sequence[Turn]]:
        return {}

    def questions(self, split: str) -> Sequence[Question]:
        return ()

    def score(self, question: Question, prediction: str) -> float:
        return float(question.gold in prediction)


@dataclass
class Listening(FixedRetriever):
    """Keeps what it was asked."""

    asked: list = field(default_factory=list)

    async def retrieve(self, tenant, history, query, max_tokens=None, *, embed=True, **time):
        self.asked.append((tenant, history, query, max_tokens, embed))
        return await super().retrieve(tenant, history, query, max_tokens, embed=embed, **time)


def fakes(script=None) -> ModelSet:
    backbones = scripted() if script is None else scripted(script)
    encoder, tagger = HashEncoder(name="minilm-l6-v2"), ScriptedTagger(name="en-core-web-sm")
    return ModelSet(backbones, encoder, tagger)


def walker(strategy="capacity", models=None, **more) -> Walker:
    return Walker(
        profile=SMALL,
        models=models or fakes(),
        retriever=more.pop("retriever", FixedRetriever()),
        dataset=Toys(),
        strategy=strategy,
        tenant="training",
        **more,
    )


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_outcomes_have_every_planned_path_and_the_states_on_its_way(strategy):
    found = await walker(strategy).outcomes(QUESTION, PLAN)
    assert (found.question, found.history, found.category) == ("q1", "chat", "single-hop")
    letters = {spell(path) for path in PLAN}
    assert set(found.leaves) == letters
    assert set(found.nodes) == {path[:depth] for path in letters for depth in (0, 1, 4)}
    assert set(found.recall) == {path[0] for path in letters}
    # It passes the checks of a file.
    OutcomeFile({}, NAMES, (found,))


async def test_a_leaf_has_the_costs_of_its_receipt():
    path = parse("LMHLM")
    each = walker()
    answer, _ = await each.walk(QUESTION, path)
    found = await each.outcomes(QUESTION, [path])
    leaf = found.leaves["LMHLM"]
    receipt = answer.receipt
    assert [step.choice.tier for step in receipt.steps] == list(path)
    assert leaf.cost_usd == pytest.approx(receipt.total.cost_usd)
    assert leaf.costs_usd[0] == receipt.retrieval.cost_usd > 0
    assert leaf.costs_usd[-1] == receipt.answer.cost_usd > 0
    assert leaf.costs_usd[1:-1] == tuple(step.usage.cost_usd for step in receipt.steps)
    assert leaf.answer_tokens == receipt.answer.input_tokens
    assert (leaf.score, leaf.fell) == (1.0, ())


async def test_modules_that_fell_are_named():
    found = await walker(models=fakes(lambda prompt: "nonsense")).outcomes(
        QUESTION, [constant(Tier.HIGH)]
    )
    leaf = found.leaves["HHHHH"]
    assert leaf.fell == ("filter", "entity", "temporal", "topic", "summary")
    assert leaf.score == 0.0


async def test_recall_is_the_share_of_the_evidence_that_the_filter_kept():
    found = await walker().outcomes(QUESTION, [constant(Tier.HIGH)])
    assert found.recall == {"H": 0.5}  # the filter keeps c1, which has t1
    bare = Question("q2", "chat", "What did Ana adopt?", "a cat", "c", ())
    assert (await walker().outcomes(bare, [constant(Tier.HIGH)])).recall == {"H": None}


async def test_nodes_tell_which_chunks_stand_for_their_state():
    found = await walker().outcomes(QUESTION, [constant(Tier.HIGH)])
    assert found.nodes[""].chunks == tuple(chunk.id for chunk in CHUNKS)
    assert found.nodes["H"].chunks == found.nodes["HHHH"].chunks == ("c1",)
    assert {len(node.features) for node in found.nodes.values()} == {len(NAMES)}


async def test_a_states_features_do_not_depend_on_the_path_after_it():
    each = walker()
    paths = [parse("".join(letters)) for letters in product("L", "M", "L", "H", "LMH")]
    walked = [await each.outcomes(QUESTION, [path]) for path in paths]
    for name in ("", "L", "LMLH"):
        assert len({outcome.nodes[name] for outcome in walked}) == 1


async def test_the_paths_of_a_router_are_those_that_it_takes_at_each_lambda():
    @dataclass
    class Stingy(Watching):
        """Mid, and Low where it is told to save."""

        async def choose(self, decisions):
            tiers = [Tier.LOW if each.cost_weight else Tier.MID for each in decisions]
            return [Choice(tier, (0.0, 0.0, 0.0), {}) for tier in tiers]

    each = walker()
    found = await each.chosen(QUESTION, Stingy(), (0.0, 0.3, 0.9))
    assert [spell(path) for path in found] == ["MMMMM", "LLLLL"]
    assert each.models.backbones["high"].requests == []  # which answers


async def test_the_question_is_asked_as_the_service_is_asked():
    retriever = Listening()
    asked = Question("q", "chat", "When?", "May", "c", (), asked_at=datetime(2024, 1, 1))
    each = walker(retriever=retriever, max_tokens=123)
    await each.outcomes(asked, [constant(Tier.LOW)])
    assert retriever.asked == [("training", "chat", "When?", 123, True)]
    assert each.request(asked).asked_at == datetime(2024, 1, 1)
    prompt = each.models.backbones["low"].requests[0].prompt
    assert 'asked="' in prompt


async def test_the_same_walk_again_makes_no_call_and_the_same_outcomes(tmp_path):
    paths = PLAN
    backbones = fakes()
    kept = recorded(backbones, SMALL, Recording(tmp_path / "r.sqlite"))
    first = await walker("implementation", kept).outcomes(QUESTION, paths)
    made = kept.tally.made
    asked = sum(len(each.requests) for each in backbones.backbones.values())
    second = await walker("implementation", kept).outcomes(QUESTION, paths)
    assert second == first
    assert kept.tally.made == made
    assert sum(len(each.requests) for each in backbones.backbones.values()) == asked
    writer = Writer(tmp_path / "o.jsonl", {}, NAMES)
    writer.write(first)
    assert read(tmp_path / "o.jsonl").outcomes == (first,)


async def test_paths_that_share_their_beginning_share_its_calls(tmp_path):
    paths = PLAN
    kept = recorded(fakes(), SMALL, Recording(tmp_path / "r.sqlite"))
    await walker("capacity", kept).outcomes(QUESTION, paths)
    calls = len(paths) * 6
    assert kept.tally.made + kept.tally.known >= calls
    assert kept.tally.made < calls / 2


async def test_no_path_goes_on_after_its_question_failed(monkeypatch):
    each = walker()
    going_on, ended = asyncio.Event(), []

    async def walk(self, question, path):
        if path == PLAN[0]:
            raise BackboneUnavailable("gone")
        try:
            await going_on.wait()
        finally:
            ended.append(path)

    monkeypatch.setattr(Walker, "walk", walk)
    with pytest.raises(BackboneUnavailable):
        await each.outcomes(QUESTION, PLAN[:3])
    assert len(ended) == 2


def test_a_watching_router_serves_every_strategy_without_a_weight():
    router = Watching()
    assert router.of("capacity") is router
    assert router.cost_weights is None
