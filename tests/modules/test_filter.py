from __future__ import annotations

from dataclasses import replace

import pytest

from budgetmem.errors import ReplyError
from budgetmem.modules.base import Tools
from budgetmem.modules.filter import Filter
from budgetmem.types import Chunk
from tests.modules.conftest import CHUNKS, workspace

FILTER = Filter()


def ids(findings: tuple[object, ...]) -> list[str]:
    return [f.chunk_ids[0] for f in findings]  # type: ignore[attr-defined]


def scored(*scores: float) -> tuple[Chunk, ...]:
    return tuple(
        replace(CHUNKS[0], id=f"m{i}", text=f"Ada: pottery {i}", score=score)
        for i, score in enumerate(scores)
    )


@pytest.mark.parametrize("method", ["rules", "specialist"])
async def test_the_best_scores_of_retrieval_come_first(method: str, tools: Tools) -> None:
    found = await FILTER.local[method](workspace("pottery", scored(0.1, 0.5, 0.2)), tools)
    assert ids(found) == ["m1", "m2", "m0"]
    assert [f.score for f in found] == sorted((f.score or 0 for f in found), reverse=True)


async def test_rules_keep_chunks_until_they_have_most_of_the_score(tools: Tools) -> None:
    by_rules = FILTER.local["rules"]
    steep = await by_rules(workspace("pottery", scored(0.02, 0.8, 0.1, 0.04, 0.04)), tools)
    assert ids(steep) == ["m1", "m2", "m3"]  # three at least
    flat = await by_rules(workspace("pottery", scored(*[1.0] * 10)), tools)
    assert len(flat) == 8


async def test_the_specialist_prefers_what_is_nearer_to_the_query(tools: Tools) -> None:
    even = tuple(replace(chunk, score=1 / 3) for chunk in CHUNKS)
    found = await FILTER.local["specialist"](workspace("Who adopted a dog named Rex?", even), tools)
    assert ids(found)[0] == "c2"


async def test_all_that_was_found_is_kept_in_its_order(tools: Tools) -> None:
    work = workspace("pottery", scored(0.02, 0.9, 0.0, 0.04))
    assert ids(await FILTER.local["as_found"](work, tools)) == ["m0", "m1", "m2", "m3"]


@pytest.mark.parametrize("method", ["rules", "specialist"])
@pytest.mark.parametrize("score", [0.0, -1.0])
async def test_without_scores_a_few_chunks_are_kept(
    method: str, score: float, tools: Tools
) -> None:
    found = await FILTER.local[method](workspace("pottery", scored(*[score] * 5)), tools)
    assert ids(found) == ["m0", "m1", "m2"]


@pytest.mark.parametrize("method", ["rules", "specialist"])
async def test_nothing_is_kept_of_nothing(method: str, tools: Tools) -> None:
    assert await FILTER.local[method](workspace("pottery", ()), tools) == ()


def test_parses_numbers_in_any_shape_and_drops_unknown_ones() -> None:
    work = workspace("q", scored(0.1, 0.8, 0.1))
    assert ids(FILTER.parse('{"keep": [3, "1", 3, 9, 0]}', work)) == ["m2", "m0", "m1"]


def test_no_reply_takes_the_favourites_of_retrieval_away() -> None:
    work = workspace("q", scored(0.4, 0.35, 0.15, 0.1))
    assert ids(FILTER.parse('{"keep": [4]}', work)) == ["m3", "m0", "m1"]
    assert ids(FILTER.parse('{"keep": []}', work)) == ["m0", "m1"]
    assert FILTER.parse('{"keep": []}', workspace("q", ())) == ()


@pytest.mark.parametrize("reply", ["none of them", '{"keep": [7]}', '{"keep": ["x"]}', ""])
def test_unusable_replies_are_refused(reply: str) -> None:
    with pytest.raises(ReplyError):
        FILTER.parse(reply, workspace("q"))


def test_reads_the_retrieved_chunks_whatever_is_kept() -> None:
    work = workspace("q").with_kept(frozenset({"c1"}))
    assert FILTER.reads(work) == CHUNKS
