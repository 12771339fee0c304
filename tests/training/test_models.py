"""Walks on live models: the options, a scheduler that waits for leaders, a Triton that dies."""

import argparse
import asyncio
from collections.abc import Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from budgetmem.backbone import HashEncoder, ModelSet, ScriptedTagger
from budgetmem.config import load_profile
from budgetmem.errors import BackboneUnavailable, ConfigError
from budgetmem.types import Turn
from tests.fakes import scripted
from training import models
from training.datasets.base import Question
from training.models import (
    PATIENCE_S,
    LiveOptions,
    add_live_options,
    live_options,
    open_walker,
    patient_profile,
)
from training.rollouts import setting
from training.rollouts.paths import parse

SMALL = load_profile("small")


def parsed(*options: str):
    parser = argparse.ArgumentParser()
    add_live_options(parser)
    return live_options(parser.parse_args(options))


def test_replies_and_histories_are_kept_side_by_side():
    usual = parsed()
    assert usual.triton_url is None
    assert usual.recording.parent == usual.data_dir.parent
    given = parsed("--recording", "r.sqlite", "--triton-url", "there:1", "--concurrency", "2")
    assert (given.recording, given.triton_url, given.concurrency) == (
        Path("r.sqlite"),
        "there:1",
        2,
    )


def test_nothing_but_the_patience_of_the_scheduler_differs():
    patient = patient_profile(SMALL)
    assert patient.scheduling.leader_timeout_s == PATIENCE_S > SMALL.scheduling.leader_timeout_s
    assert patient.model_copy(update={"scheduling": SMALL.scheduling}) == SMALL


@pytest.mark.parametrize("count", ["0", "-1", "many"])
def test_no_question_at_once_is_refused(count, capsys):
    with pytest.raises(SystemExit):
        parsed("--concurrency", count)
    assert "--concurrency: must be a whole number above 0" in capsys.readouterr().err


class Dying:
    """An embedded Triton that dies on command, and comes up again unless it `stays_down`."""

    def __init__(self, stays_down=False):
        self.stays_down = stays_down
        self.dead = asyncio.Event()
        self.restarted = asyncio.Event()
        self.restarts = 0

    async def wait_exit(self):
        await self.dead.wait()
        return -9

    async def restart(self):
        self.restarts += 1
        self.restarted.set()
        if self.stays_down:
            raise BackboneUnavailable("no Triton")
        self.dead.clear()


@dataclass(frozen=True)
class Talk:
    """A dataset of one history, `chat`."""

    turns: Sequence[Turn] = ()
    name: str = "talk"
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def sha256(self):
        return repr(self.turns)

    def histories(self):
        return {"chat": self.turns}


class Reversed(HashEncoder):
    """Of the same name and dimension, with other vectors."""

    async def embed(self, texts):
        return np.ascontiguousarray((await super().embed(texts))[:, ::-1])


NOTHING = Talk()
ENCODER = HashEncoder(name=SMALL.encoder.asset)


@pytest.fixture
def opened(tmp_path, monkeypatch):
    """Opens a walker on fakes, and on a Triton or none."""

    def walker(own=None, dataset=NOTHING, questions=(), profile=SMALL, encoder=ENCODER):
        @asynccontextmanager
        async def loaded(profile, triton_url, *, show_progress):
            yield ModelSet(scripted(), encoder, ScriptedTagger(name="en-core-web-sm")), own
            assert not [task for task in asyncio.all_tasks() if "_restarted" in repr(task)]

        monkeypatch.setattr(models, "loaded", loaded)
        options = LiveOptions(None, tmp_path / "histories", tmp_path / "r.sqlite", 2)
        return open_walker(
            options,
            questions,
            profile=profile,
            dataset=dataset,
            strategy="capacity",
            max_tokens=None,
        )

    return walker


async def test_a_triton_that_dies_is_started_anew_while_walks_go_on(opened):
    own = Dying()
    async with opened(own):
        for times in (1, 2):
            own.dead.set()
            await asyncio.wait_for(own.restarted.wait(), 5)
            own.restarted.clear()
            assert own.restarts == times
    own.dead.set()
    await asyncio.sleep(0.01)
    assert own.restarts == 2


async def test_one_that_does_not_come_up_again_is_told_and_left(opened, caplog):
    own = Dying(stays_down=True)
    async with opened(own):
        own.dead.set()
        await asyncio.wait_for(own.restarted.wait(), 5)
        await asyncio.sleep(0.01)
    assert own.restarts == 1
    assert "Triton does not come up again" in caplog.text


async def test_a_triton_elsewhere_is_not_watched(opened):
    async with opened(None) as (_, tally):
        assert tally.made == 0


def turn(number, text):
    return Turn(f"t{number}", "Ana", text, session="1")


ASKED = [Question("q", "chat", "Who has a cat?", "Ana", "c", ())]
SAID = (turn(0, "I have a cat."), turn(1, "And a dog."))


async def test_forms_of_a_dataset_do_not_mix_their_histories_in_one_store(opened, capsys):
    for said in (SAID, SAID[:1]):
        async with opened(dataset=Talk(said), questions=ASKED) as (walker, _):
            found = await walker.retriever.retrieve(walker.tenant, "chat", "Who has a cat?", 400)
            names = {name for chunk in found.chunks for name in chunk.turn_ids}
            assert names == {each.id for each in said}
    assert "histories" in capsys.readouterr().err  # a bar over them


@pytest.mark.parametrize("change", ["weights", "max_tokens"])
async def test_another_encoder_finds_no_vectors_of_the_last_one(opened, monkeypatch, change):
    async def found(**encoding):
        async with opened(dataset=Talk(SAID), questions=ASKED, **encoding) as (walker, _):
            return await walker.retriever.retrieve(walker.tenant, "chat", ASKED[0].text, 400)

    first = await found()
    limit = SMALL.encoder.max_tokens
    if change == "weights":
        monkeypatch.setattr(setting, "_recipes", lambda: {ENCODER.name: "of other weights"})
    else:
        limit = 16
    encoder = SMALL.encoder.model_copy(update={"max_tokens": limit})
    profile = SMALL.model_copy(update={"encoder": encoder})
    other = await found(profile=profile, encoder=Reversed(name=ENCODER.name))
    assert (other.query == first.query[::-1]).all()
    assert other.vectors.keys() == first.vectors.keys() != set()
    for name, vector in first.vectors.items():
        assert np.allclose(other.vectors[name], vector[::-1])


async def test_neither_chunks_nor_replies_depend_on_the_tenant(opened):
    found = []
    for name in ("one", "other"):
        async with opened(dataset=Talk(SAID, name), questions=ASKED) as (walker, tally):
            answer, _ = await walker.walk(ASKED[0], parse("LMHLM"))
            found.append((walker.tenant, answer.receipt.retrieved_chunk_ids, tally.made))
    (one, chunks, made), (other, again, nothing) = found
    assert one != other
    assert chunks == again != ()
    assert made > nothing == 0


async def test_a_folder_is_no_recording(opened, tmp_path):
    (tmp_path / "r.sqlite").mkdir()
    with pytest.raises(ConfigError, match=r"r\.sqlite is not a recording"):
        await opened(None).__aenter__()
