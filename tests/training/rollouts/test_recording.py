"""The recording: nothing is done twice, nothing is mistaken for another, nothing is lost."""

import asyncio
import sqlite3
import subprocess
import sys
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tenacity import wait_none

import training.rollouts.recording
from budgetmem.backbone import (
    Annotation,
    Caller,
    Completion,
    Entity,
    GenerationRequest,
    HashEncoder,
    ModelSet,
    Relation,
    ScriptedBackbone,
    ScriptedTagger,
)
from budgetmem.config import load_profile
from budgetmem.errors import BackboneError, BackboneUnavailable, ConfigError, DeadlineExceeded
from budgetmem.modules import MODULES
from budgetmem.pipeline import ExtractRequest
from budgetmem.tiers import STRATEGIES, Tier
from budgetmem.types import Budget
from tests.fakes import pipeline, scripted
from training.rollouts import setting
from training.rollouts.recording import (
    ATTEMPTS,
    FIRST_WAIT_S,
    LONGEST_WAIT_S,
    Recording,
    key_of,
    recorded,
)

SMALL = load_profile("small")
REQUEST = GenerationRequest("What?", 32, {"a": {}, "b": {}})
ANNOTATION = Annotation(
    (Entity("Ana", "PERSON"),), (Relation("Ana", "has", "a cat"),), ("a cat",), tokens=3
)


class Down:
    """A model that must not be asked."""

    name = "down"
    dimension = 64
    tokens = HashEncoder().tokens

    async def generate(self, request, on_first_token=None):
        raise AssertionError(f"a call was made: {request}")

    async def embed(self, texts):
        raise AssertionError(f"a call was made: {texts}")

    annotate = embed


class Slow(ScriptedBackbone):
    """Replies when it is let; raises first what it is told to."""

    def __init__(self, *failures):
        super().__init__(lambda prompt: f"reply to {prompt}")
        self.failures = list(failures)
        self.gate = asyncio.Event()
        self.gate.set()

    async def generate(self, request, on_first_token=None):
        done = await super().generate(request)
        await self.gate.wait()
        if self.failures:
            raise self.failures.pop(0)
        return done


@pytest.fixture
def path(tmp_path):
    return tmp_path / "deep" / "replies.sqlite"


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(training.rollouts.recording, "wait_exponential", lambda **_: wait_none())


def models(backbone=None, encoder=None, tagger=None) -> ModelSet:
    backbones = scripted() if backbone is None else dict.fromkeys(SMALL.backbones, backbone)
    return ModelSet(
        backbones,
        encoder or HashEncoder(name="minilm-l6-v2"),
        tagger or ScriptedTagger(name="en-core-web-sm"),
    )


def down() -> ModelSet:
    encoder, tagger = Down(), Down()
    encoder.name, tagger.name = "minilm-l6-v2", "en-core-web-sm"
    return models(Down(), encoder, tagger)


async def walk(kept, strategy, tier):
    budget = Budget(dict.fromkeys(MODULES, tier))
    request = ExtractRequest("t", "h", "What did Ana adopt?", strategy, budget)
    return await pipeline(models=kept).answer(request)


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_a_second_walk_makes_no_call_and_comes_to_the_same(path, strategy):
    first = recorded(models(), SMALL, Recording(path))
    told = [await walk(first, strategy, tier) for tier in Tier]
    assert first.tally.made > 0
    second = recorded(down(), SMALL, Recording(path))
    again = [await walk(second, strategy, tier) for tier in Tier]
    assert (second.tally.made, second.tally.retries) == (0, 0)
    assert second.tally.known == second.tally.recorded > 0
    for one, other in zip(told, again, strict=True):
        assert (one.text, one.memory.text) == (other.text, other.memory.text)
        assert one.memory.findings == other.memory.findings
        assert one.receipt.total.cost_usd == other.receipt.total.cost_usd


async def test_every_kind_of_reply_comes_back_as_it_was(path):
    annotated = ScriptedTagger({"Ana has a cat": ANNOTATION}, name="en-core-web-sm")
    kept = recorded(models(tagger=annotated), SMALL, Recording(path))
    texts = ["a cat", "🙂 \u202e", ""]
    vectors = await kept.encoder.embed(texts)
    assert vectors.dtype == np.float32
    assert (vectors == await HashEncoder().embed(texts)).all()
    assert (await kept.encoder.embed([])).shape == (0, 64)
    assert await kept.tagger.annotate(["Ana has a cat", "x"]) == (ANNOTATION, Annotation())
    completion = await kept.backbones["low"].generate(REQUEST)
    again = recorded(down(), SMALL, Recording(path))
    assert (await again.encoder.embed(texts) == vectors).all()
    assert await again.tagger.annotate(["Ana has a cat", "x"]) == (ANNOTATION, Annotation())
    assert await again.backbones["low"].generate(REQUEST) == completion


async def test_a_recorded_reply_still_tells_when_its_first_token_was_there(path):
    kept = recorded(models(), SMALL, Recording(path))
    told = []
    for _ in range(2):
        await kept.backbones["low"].generate(REQUEST, lambda: told.append(True))
    assert told == [True, True]


async def test_a_completion_keeps_every_field(path):
    full = Completion("🙂", 7, 3, "length", -0.75, 1.5, 9.25)

    class Exact(ScriptedBackbone):
        async def generate(self, request, on_first_token=None):
            return full

    kept = recorded(models(Exact({})), SMALL, Recording(path))
    assert await kept.backbones["low"].generate(REQUEST) == full
    assert await kept.backbones["low"].generate(REQUEST) == full
    assert (kept.tally.made, kept.tally.recorded) == (1, 1)


CHANGES = {
    "prompt": "Who?",
    "max_tokens": 33,
    "schema": {"b": {}, "a": {}},
    "temperature": 0.5,
    "stop": ("x",),
}


@pytest.mark.parametrize("field", CHANGES)
async def test_what_changes_a_reply_is_part_of_its_key(path, field):
    backbone = Slow()
    kept = recorded(models(backbone), SMALL, Recording(path)).backbones["low"]
    await kept.generate(REQUEST)
    await kept.generate(replace(REQUEST, **{field: CHANGES[field]}))
    assert len(backbone.requests) == 2


async def test_what_does_not_change_a_reply_is_not(path):
    backbone = Slow()
    kept = recorded(models(backbone), SMALL, Recording(path)).backbones["low"]
    await kept.generate(REQUEST)
    await kept.generate(replace(REQUEST, shared=3, prompt_tokens=9))
    assert len(backbone.requests) == 1


async def test_backbones_do_not_answer_for_one_another(path):
    backbones = scripted()
    kept = recorded(ModelSet(backbones, Down(), Down()), SMALL, Recording(path))
    for key in kept.backbones:
        await kept.backbones[key].generate(REQUEST)
    assert [len(each.requests) for each in backbones.values()] == [1, 1, 1]


async def test_backbones_of_the_same_weights_do(path):
    low = SMALL.backbones["low"]
    same = SMALL.model_copy(update={"backbones": dict.fromkeys(SMALL.backbones, low)})
    backbones = scripted()
    kept = recorded(ModelSet(backbones, Down(), Down()), same, Recording(path))
    for key in kept.backbones:
        await kept.backbones[key].generate(REQUEST)
    assert sum(len(each.requests) for each in backbones.values()) == 1


READ = st.fixed_dictionaries({
    "prompt": st.text(max_size=8),
    "max_tokens": st.integers(1, 3),
    "schema": st.none() | st.dictionaries(st.text(max_size=3), st.integers(0, 2), max_size=2),
    "temperature": st.sampled_from([0.0, 0.5]),
    "stop": st.lists(st.text(max_size=2), max_size=2),
})  # fmt: skip


@given(st.lists(st.tuples(st.text(max_size=4), READ), min_size=2, max_size=6))
def test_keys_are_equal_just_when_what_was_read_is(asked):
    for (model, read), (other_model, other) in combinations(asked, 2):
        same = (model, read) == (other_model, other)
        assert (key_of(model, **read) == key_of(other_model, **other)) is same


def test_half_a_surrogate_pair_has_a_key():
    assert key_of("m", text="\ud83d") != key_of("m", text="?")


async def test_concurrent_equal_calls_are_one(path):
    backbone = Slow()
    kept = recorded(models(backbone), SMALL, Recording(path))
    replies = await asyncio.gather(*(kept.backbones["low"].generate(REQUEST) for _ in range(5)))
    assert len(backbone.requests) == 1
    assert len(set(replies)) == 1
    assert (kept.tally.made, kept.tally.shared, kept.tally.recorded) == (1, 4, 0)


async def test_equal_calls_of_different_callers_are_one(path):
    backbone = Slow()
    kept = recorded(models(backbone), SMALL, Recording(path))
    callers = [kept.bound(Caller(tenant)) for tenant in ("a", "b")]
    await asyncio.gather(*(each.backbones["low"].generate(REQUEST) for each in callers))
    assert len(backbone.requests) == 1
    assert kept.tally.shared == 1


@pytest.mark.parametrize("cancelled", [0, 1])
async def test_a_caller_that_is_cancelled_does_not_take_the_reply_from_the_others(path, cancelled):
    backbone = Slow()
    backbone.gate.clear()
    recording = Recording(path)
    kept = recorded(models(backbone), SMALL, recording).backbones["low"]
    calls = [asyncio.create_task(kept.generate(REQUEST)) for _ in range(2)]
    await asyncio.sleep(0.01)
    calls[cancelled].cancel()
    await asyncio.sleep(0)
    backbone.gate.set()
    assert (await calls[1 - cancelled]).text == "reply to What?"
    with pytest.raises(asyncio.CancelledError):
        await calls[cancelled]
    assert len(backbone.requests) == 1
    assert sum(recording.counts().values()) == 1


async def test_a_call_that_nobody_waits_for_any_more_is_kept_all_the_same(path):
    backbone = Slow()
    backbone.gate.clear()
    kept = recorded(models(backbone), SMALL, Recording(path))
    call = asyncio.create_task(kept.backbones["low"].generate(REQUEST))
    await asyncio.sleep(0.01)
    call.cancel()
    backbone.gate.set()
    await asyncio.sleep(0.01)
    await kept.backbones["low"].generate(REQUEST)
    assert len(backbone.requests) == 1


async def test_a_failed_call_is_retried_and_counted(path):
    backbone = Slow(BackboneUnavailable("gone"), BackboneUnavailable("gone"))
    kept = recorded(models(backbone), SMALL, Recording(path))
    assert (await kept.backbones["low"].generate(REQUEST)).text == "reply to What?"
    assert (kept.tally.made, kept.tally.retries) == (1, 2)


@pytest.mark.parametrize(
    ("failure", "asked"),
    [
        (BackboneUnavailable("gone"), ATTEMPTS),
        (BackboneError("refused"), 1),
        (DeadlineExceeded("late"), 1),
    ],
)
async def test_a_failure_is_the_callers_and_never_recorded(path, failure, asked):
    backbone = Slow(*[failure] * asked)
    recording = Recording(path)
    kept = recorded(models(backbone), SMALL, recording)
    with pytest.raises(type(failure)):
        await kept.backbones["low"].generate(REQUEST)
    assert len(backbone.requests) == asked
    assert (kept.tally.made, kept.tally.retries) == (0, asked - 1)
    assert recording.counts() == {}
    # The next one is a new attempt.
    assert (await kept.backbones["low"].generate(REQUEST)).text == "reply to What?"
    assert kept.tally.made == 1


def test_retries_last_longer_than_a_restart():
    waits = [min(FIRST_WAIT_S * 2**number, LONGEST_WAIT_S) for number in range(ATTEMPTS - 1)]
    assert sum(waits) > 180


async def everything(kept):
    await kept.backbones["low"].generate(REQUEST)
    await kept.encoder.embed(["a"])
    await kept.tagger.annotate(["a"])


async def test_other_weights_do_not_answer_for_those_of_the_same_name(path, monkeypatch):
    first = recorded(models(), SMALL, Recording(path))
    await everything(first)
    monkeypatch.setattr(setting, "_recipes", lambda: dict.fromkeys(SMALL.assets, "of another day"))
    second = recorded(models(), SMALL, Recording(path))
    await everything(second)
    assert (first.tally.made, second.tally.made, second.tally.recorded) == (3, 3, 0)


async def test_how_much_of_a_text_the_encoder_reads_is_part_of_its_key(path):
    longer = SMALL.encoder.model_copy(update={"max_tokens": 512})
    for profile in (SMALL, SMALL.model_copy(update={"encoder": longer})):
        kept = recorded(models(), profile, Recording(path))
        await kept.encoder.embed(["a"])
        assert kept.tally.made == 1


async def test_what_is_remembered_does_not_count_as_a_cache(path):
    kept = recorded(models(), SMALL, Recording(path))
    await kept.encoder.embed(["a"])
    assert kept.encoder.remembered(["a"]) == kept.tagger.remembered(["a"]) == 0


async def test_an_empty_recording_without_models_names_what_fails(path):
    kept = recorded(down(), SMALL, Recording(path))
    with pytest.raises(AssertionError, match="a call was made"):
        await walk(kept, "capacity", Tier.HIGH)


def test_replies_are_counted_by_model(path):
    recording = Recording(path)
    for number, model in enumerate(["b", "a", "b"]):
        recording.put(bytes([number]), model, b"r")
    recording.put(bytes([0]), "b", b"another")
    assert recording.counts() == {"a": 1, "b": 2}
    assert recording.get(bytes([0])) == b"another"
    assert recording.get(b"none") is None


DIES = """
import os, sys
from pathlib import Path
from training.rollouts.recording import Recording
recording = Recording(Path(sys.argv[1]))
for number in range(20):
    recording.put(bytes([number]), "m", b"reply %d" % number)
    print(number, flush=True)
os.kill(os.getpid(), 9)
"""


def test_a_crash_between_replies_loses_nothing_that_was_acknowledged(path):
    run = subprocess.run([sys.executable, "-c", DIES, str(path)], capture_output=True, check=False)
    assert run.returncode == -9, run.stderr
    acknowledged = [int(line) for line in run.stdout.split()]
    assert len(acknowledged) == 20
    recording = Recording(path)
    for number in acknowledged:
        assert recording.get(bytes([number])) == b"reply %d" % number


@pytest.mark.parametrize("where", ["folder", "notes.txt/r.sqlite"])
def test_a_place_for_no_file_is_refused(tmp_path, where):
    (tmp_path / "folder").mkdir()
    (tmp_path / "notes.txt").touch()
    with pytest.raises(ConfigError, match="is not a recording"):
        Recording(tmp_path / where)


def test_a_file_that_is_no_recording_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("these are my notes, " * 100)
    with pytest.raises(ConfigError, match=r"notes\.txt is not a recording"):
        Recording(path)
    assert path.read_text().startswith("these are my notes")


def test_a_recording_can_be_closed(path):
    recording = Recording(path)
    recording.put(b"k", "m", b"r")
    recording.close()
    with pytest.raises(sqlite3.ProgrammingError):
        recording.get(b"k")
    assert Recording(path).get(b"k") == b"r"
