"""Ingest, retrieve, rebuild, delete over a real store and the public fake encoder."""

import asyncio
import time
from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest

from budgetmem.backbone import Caller, HashEncoder
from budgetmem.config import ChunkingProfile, RetrievalProfile
from budgetmem.errors import (
    ConfigError,
    Conflict,
    DeadlineExceeded,
    DuplicateTurn,
    InvalidInput,
    NotFound,
)
from budgetmem.history import Histories
from budgetmem.store.base import Busy
from budgetmem.types import Turn
from budgetmem.vectors import mean_direction

MAY = datetime(2023, 5, 8, 13, 56)


class CountingEncoder(HashEncoder):
    """Remembers what it was asked to embed."""

    def __init__(self):
        super().__init__()
        self.seen = []

    async def embed(self, texts):
        self.seen += texts
        return await super().embed(texts)


class ContestedStore:
    """A store that loses the first `losses` races."""

    losses = 0

    def __init__(self, inner):
        self.inner = inner

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def write(self, *args, **kwargs):
        if self.losses:
            self.losses -= 1
            raise Conflict("another writer was first")
        self.inner.write(*args, **kwargs)


def turn(number, text, session="s", time=MAY):
    return Turn(f"t{number}", "Ana", text, time, session)


def talk(count, session="s"):
    return [turn(f"{session}{n}", f"word{n}", session) for n in range(count)]


@pytest.fixture
def encoder():
    return CountingEncoder()


@pytest.fixture
def store(new_store):
    return ContestedStore(new_store())


@pytest.fixture
def histories(store, encoder):
    return Histories(store, encoder, RetrievalProfile())


async def test_ingest_then_retrieve_finds_the_turn_with_its_neighbours(histories):
    report = await histories.ingest("t", "h", talk(20))
    assert (report.added, report.unchanged, report.chunks) == (20, 0, 20)
    assert report.tokens > 0
    found = await histories.retrieve("t", "h", "word6, word7 or word8?", max_tokens=6)
    assert [chunk.turn_ids for chunk in found.chunks] == [("ts6", "ts7", "ts8")]
    assert found.chunks[0].text == "Ana: word6\nAna: word7\nAna: word8"
    assert found.chunks[0].time == MAY
    assert found.tokens == 4


async def test_chunks_come_in_time_order_whatever_came_first(histories):
    late = [turn("l", "the cat slept", "later", datetime(2023, 6, 1))]
    early = [turn("e", "a cat came", "early", datetime(2023, 5, 1))]
    await histories.ingest("t", "h", [*late, *early])
    found = await histories.retrieve("t", "h", "cat")
    assert [chunk.session for chunk in found.chunks] == ["early", "later"]


async def test_ingesting_again_changes_nothing_and_embeds_nothing(histories, encoder):
    await histories.ingest("t", "h", talk(5))
    encoder.seen.clear()
    report = await histories.ingest("t", "h", talk(5))
    assert (report.added, report.unchanged, report.chunks, report.tokens) == (0, 5, 0, 0)
    assert encoder.seen == []


async def test_a_late_turn_remakes_only_its_neighbours_window(histories, encoder):
    await histories.ingest("t", "h", talk(5))
    encoder.seen.clear()
    report = await histories.ingest("t", "h", [turn("late", "zebra")])
    assert report.chunks == 2
    assert encoder.seen == ["Ana: word3\nAna: word4\nAna: zebra", "Ana: word4\nAna: zebra"]
    info = await histories.info("t", "h")
    assert (info.turns, info.units) == (6, 6)


@pytest.mark.parametrize("unit", ["windows", "pack"])
async def test_turn_by_turn_gives_what_one_ingest_gives(store, encoder, unit):
    profile = RetrievalProfile(chunking=ChunkingProfile(unit=unit, max_tokens=12))
    histories = Histories(store, encoder, profile)
    await histories.ingest("t", "whole", talk(9))
    for each in talk(9):
        await histories.ingest("t", "bits", [each])
    whole = await histories.retrieve("t", "whole", "word4 word8", 20)
    bits = await histories.retrieve("t", "bits", "word4 word8", 20)
    assert whole.chunks == bits.chunks
    assert (await histories.info("t", "whole")).units == (await histories.info("t", "bits")).units


async def test_a_taken_id_is_named_and_nothing_of_the_batch_is_written(histories):
    await histories.ingest("t", "h", [turn(1, "old")])
    with pytest.raises(DuplicateTurn, match=r"turns\[1\]\.id: 't1' is taken"):
        await histories.ingest("t", "h", [turn(2, "fine"), turn(1, "other")])
    assert [t.id async for t in histories.export("t", "h")] == ["t1"]


async def test_a_repeat_within_a_batch_counts_as_unchanged_unless_it_differs(histories):
    report = await histories.ingest("t", "h", [turn(1, "x"), turn(1, "x")])
    assert (report.added, report.unchanged) == (1, 1)
    with pytest.raises(DuplicateTurn, match=r"turns\[1\]\.id: 't2' comes twice"):
        await histories.ingest("t", "h", [turn(2, "x"), turn(2, "y")])


async def test_a_lost_race_is_tried_again_without_embedding_twice(histories, store, encoder):
    store.losses = 3
    report = await histories.ingest("t", "h", talk(3))
    assert report.added == 3
    assert len(encoder.seen) == 3


async def test_a_deletion_during_an_ingest_takes_what_was_before_and_nothing_after(store):
    proofs = []

    class DeletingEncoder(HashEncoder):
        async def embed(self, texts):
            if proofs == [] and any("new" in text for text in texts):
                proofs.append(store.delete("t", "h"))
            return await super().embed(texts)

    histories = Histories(store, DeletingEncoder(), RetrievalProfile())
    await histories.ingest("t", "h", [turn(1, "old")])
    await histories.ingest("t", "h", [turn(2, "new")])
    assert [proof.turns for proof in proofs] == [1]
    assert [t.text async for t in histories.export("t", "h")] == ["new"]
    (chunk,) = (await histories.retrieve("t", "h", "old new")).chunks
    assert chunk.text == "Ana: new"


async def test_a_turn_ingested_during_a_reindex_is_not_lost(store):
    added = []

    class BusyEncoder(HashEncoder):
        async def embed(self, texts):
            if not added:
                added.append(await plain.ingest("t", "h", [turn(2, "late", "another session")]))
            return await super().embed(texts)

    plain = Histories(store, HashEncoder(), RetrievalProfile())
    await plain.ingest("t", "h", [turn(1, "early")])
    report = await Histories(store, BusyEncoder(name="new"), RetrievalProfile()).reindex("t", "h")
    assert (report.unchanged, report.chunks) == (2, 2)


async def test_a_race_lost_for_ever_is_a_conflict(histories, store):
    store.losses = 10**6
    with pytest.raises(Conflict):
        await histories.ingest("t", "h", talk(1))


async def test_a_history_that_is_held_is_waited_for_but_not_for_ever():
    class Held:
        asked = 0

        def delete(self, tenant, history, on_deleted):
            self.asked += 1
            raise Busy("history 'h' is busy")

    store = Held()
    seconds = iter(range(0, 100, 20))
    waiting = Histories(store, HashEncoder(), RetrievalProfile(), clock=lambda: next(seconds))
    with pytest.raises(Conflict, match="busy") as caught:
        await waiting.delete("t", "h")
    assert store.asked == 2
    assert type(caught.value) is Conflict, "one that clients know"


async def test_concurrent_ingests_of_one_session_all_arrive(histories):
    await asyncio.gather(*(histories.ingest("t", "h", [turn(n, f"w{n}")]) for n in range(12)))
    info = await histories.info("t", "h")
    assert (info.turns, info.units) == (12, 12)


async def test_export_gives_the_turns_back(histories):
    turns = [replace(turn(1, "a  b\n🙂"), metadata={"k": "v"}), turn(2, "x", "", None)]
    await histories.ingest("t", "h", turns)
    assert [each async for each in histories.export("t", "h")] == turns


async def test_deleting_removes_all_and_says_so(histories):
    await histories.ingest("t", "h", talk(4))
    proof = await histories.delete("t", "h")
    assert (proof.turns, proof.chunks, proof.vectors, proof.remaining) == (4, 4, 4, 0)
    assert await histories.list("t") == []
    with pytest.raises(NotFound, match="'h'"):
        await histories.retrieve("t", "h", "word1")


async def test_another_encoder_is_refused_until_the_history_is_reindexed(histories, store):
    await histories.ingest("t", "h", talk(6))
    other = Histories(store, HashEncoder(dimension=32, name="other"), RetrievalProfile())
    with pytest.raises(ConfigError, match=r"encoder 'hash' .* reindex"):
        await other.retrieve("t", "h", "word1")
    with pytest.raises(ConfigError, match="reindex"):
        await other.ingest("t", "h", [turn(9, "x")])
    report = await other.reindex("t", "h")
    assert (report.unchanged, report.chunks) == (6, 6)
    assert (await other.retrieve("t", "h", "word1", 2)).chunks
    with pytest.raises(ConfigError, match="encoder 'other'"):
        await histories.retrieve("t", "h", "word1")


async def test_other_chunking_may_read_but_not_write(histories, store, encoder):
    await histories.ingest("t", "h", talk(6))
    profile = RetrievalProfile(chunking=ChunkingProfile(unit="pack"))
    other = Histories(store, encoder, profile)
    assert (await other.retrieve("t", "h", "word1")).chunks
    with pytest.raises(ConfigError, match="chunking"):
        await other.ingest("t", "h", [turn(9, "x")])
    assert (await other.reindex("t", "h")).chunks == 1
    assert (await other.info("t", "h")).units == 1


@pytest.mark.parametrize("ranking", ["dense", "keyword", "fused"])
async def test_every_ranking_keeps_to_the_budget(store, encoder, ranking):
    histories = Histories(store, encoder, RetrievalProfile(ranking=ranking))
    await histories.ingest("t", "h", talk(30))
    encoder.seen.clear()
    found = await histories.retrieve("t", "h", "word3 word20", max_tokens=15)
    assert found.chunks
    assert sum(chunk.tokens for chunk in found.chunks) <= 15
    assert (encoder.seen == []) == (ranking == "keyword")
    assert (found.tokens == 0) == (ranking == "keyword")


@pytest.mark.parametrize("ranking", ["dense", "fused"])
async def test_without_embedding_the_query_words_alone_rank(store, encoder, ranking):
    histories = Histories(store, encoder, RetrievalProfile(ranking=ranking))
    await histories.ingest("t", "h", talk(30))
    encoder.seen.clear()
    found = await histories.retrieve("t", "h", "word3 word20", max_tokens=15, embed=False)
    by_words = Histories(store, encoder, RetrievalProfile(ranking="keyword"))
    assert found == await by_words.retrieve("t", "h", "word3 word20", max_tokens=15)
    assert found.chunks
    assert (encoder.seen, found.tokens) == ([], 0)


async def test_the_encoder_works_on_the_tenants_account(store):
    accounts = {}

    def encoder_of(caller):
        return accounts.setdefault((caller.tenant, caller.stage), CountingEncoder())

    histories = Histories(store, HashEncoder(), RetrievalProfile(), encoder_of)
    await histories.ingest("ana", "h", [turn(1, "early")])
    await histories.ingest("ben", "h", [turn(1, "late")])
    await histories.retrieve("ana", "h", "what?")
    await histories.reindex("ana", "h")
    assert {account: encoder.seen for account, encoder in accounts.items()} == {
        ("ana", "ingest"): ["Ana: early", "Ana: early"],
        ("ben", "ingest"): ["Ana: late"],
        ("ana", "retrieve"): ["what?"],
    }


async def test_words_that_occur_nowhere_find_nothing_by_keyword(store, encoder):
    histories = Histories(store, encoder, RetrievalProfile(ranking="keyword"))
    await histories.ingest("t", "h", talk(3))
    assert (await histories.retrieve("t", "h", "🙂")).chunks == ()


async def test_progress_is_told_while_embedding(histories):
    seen = []
    turns = [*talk(60, "a"), *talk(40, "b")]
    await histories.ingest("t", "h", turns, lambda done, total: seen.append((done, total)))
    assert seen == [(64, 100), (100, 100)]


async def test_a_blob_that_the_tokenizer_takes_for_one_word_still_counts(histories):
    await histories.ingest("t", "h", [turn(1, "x" * 100_000), turn(2, "the cat")])
    found = await histories.retrieve("t", "h", "cat", max_tokens=256)
    assert sum(len(chunk.text) for chunk in found.chunks) <= 256 * 16


@pytest.mark.parametrize(
    ("query", "budget", "field"),
    [("", 10, "query"), (" \n", 10, "query"), ("x" * 33_000, 10, "query"), ("x", 0, "max_tokens")],
)
async def test_unusable_queries_are_refused_by_field(histories, query, budget, field):
    with pytest.raises(InvalidInput) as caught:
        await histories.retrieve("t", "h", query, budget)
    assert caught.value.field == field


async def test_retrieval_hands_on_the_querys_vector_and_those_of_its_chunks(histories):
    await histories.ingest("t", "h", talk(20))
    found = await histories.retrieve("t", "h", "word6, word7 or word8?", max_tokens=6)
    ((chunk_id, vector),) = found.vectors.items()
    assert chunk_id == found.chunks[0].id
    assert (found.query == (await HashEncoder().embed(["word6, word7 or word8?"]))[0]).all()
    # The chunk holds one whole unit, word7 between its neighbours.
    (unit,) = await HashEncoder().embed([found.chunks[0].text])
    assert vector == pytest.approx(unit, abs=1e-6)
    assert vector.dtype == found.query.dtype == np.float32


async def test_a_chunk_of_several_units_has_their_mean_direction(histories):
    await histories.ingest("t", "h", talk(5))
    found = await histories.retrieve("t", "h", "word2", max_tokens=100)
    assert len(found.chunks) == 1
    units = ["word0 word1", "word0 word1 word2", "word1 word2 word3", "word2 word3 word4"]
    texts = ["\n".join(f"Ana: {word}" for word in unit.split()) for unit in [*units, "word3 word4"]]
    expected = mean_direction(list(await HashEncoder().embed(texts)))
    assert found.vectors[found.chunks[0].id] == pytest.approx(expected, abs=1e-6)
    assert np.linalg.norm(expected) == pytest.approx(1.0, abs=1e-6)


async def test_every_chunk_has_a_vector_whatever_the_budget(histories):
    await histories.ingest("t", "h", [*talk(20, "a"), *talk(20, "b")])
    for budget in (1, 3, 7, 20, 200):
        found = await histories.retrieve("t", "h", "word3 or word12", max_tokens=budget)
        assert found.vectors.keys() == {chunk.id for chunk in found.chunks}


async def test_without_embedding_the_chunks_vectors_are_still_there(histories, encoder):
    await histories.ingest("t", "h", talk(5))
    encoder.seen.clear()
    found = await histories.retrieve("t", "h", "word2", embed=False)
    assert (found.query, found.tokens, encoder.seen) == (None, 0, [])
    assert found.vectors.keys() == {chunk.id for chunk in found.chunks} != set()


class Hung(CountingEncoder):
    """Answers no query."""

    async def embed(self, texts):
        vectors = await super().embed(texts)
        if texts == ["word2"]:
            await asyncio.sleep(600)
        return vectors


async def test_a_query_is_embedded_on_the_requests_time(store):
    callers = []

    def encoder_of(caller):
        callers.append(caller)
        return HashEncoder()

    histories = Histories(store, HashEncoder(), RetrievalProfile(), encoder_of, clock=lambda: 50.0)
    await histories.ingest("t", "h", talk(3))
    assert (await histories.retrieve("t", "h", "word2", born=49.0, deadline=60.0)).chunks
    assert callers == [Caller("t", "ingest"), Caller("t", "retrieve", 49.0, 60.0)]


async def test_an_encoder_that_does_not_answer_in_time_is_not_waited_for(store):
    encoder = Hung()
    histories = Histories(store, encoder, RetrievalProfile())
    await histories.ingest("t", "h", talk(3))
    encoder.seen.clear()
    with pytest.raises(asyncio.TimeoutError):
        await histories.retrieve("t", "h", "word2", deadline=time.monotonic() + 0.2)
    assert encoder.seen == ["word2"]
    with pytest.raises(DeadlineExceeded, match="no time is left"):
        await histories.retrieve("t", "h", "word2", deadline=time.monotonic() - 0.1)
    assert encoder.seen == ["word2"]
    late = await histories.retrieve("t", "h", "word2", embed=False, deadline=0.0)
    assert late.chunks
