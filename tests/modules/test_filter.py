from __future__ import annotations

from dataclasses import replace

import pytest

from budgetmem.errors import ReplyError
from budgetmem.modules.base import Tools
from budgetmem.modules.filter import Filter
from tests.modules.conftest import CHUNKS, workspace

FILTER = Filter()


def ids(findings: tuple[object, ...]) -> list[str]:
    return [f.chunk_ids[0] for f in findings]  # type: ignore[attr-defined]


@pytest.mark.parametrize("method", ["rules", "specialist"])
@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("What did Ada make in the pottery class?", "c1"),
        ("Who adopted a dog named Rex?", "c2"),
        ("Where was the cooking magazine published?", "c3"),
    ],
)
async def test_the_chunk_with_the_answer_comes_first(
    method: str, query: str, first: str, tools: Tools
) -> None:
    found = await FILTER.local[method](workspace(query), tools)
    assert ids(found)[0] == first
    assert found[0].score is not None
    assert [f.score for f in found] == sorted((f.score or 0 for f in found), reverse=True)


async def test_rules_drop_chunks_that_share_nothing(tools: Tools) -> None:
    assert ids(await FILTER.local["rules"](workspace("pottery bowl"), tools)) == ["c1"]


async def test_words_match_by_their_stems(tools: Tools) -> None:
    assert ids(await FILTER.local["rules"](workspace("adopting dogs"), tools)) == ["c2"]


async def test_without_shared_words_retrieval_decides(tools: Tools) -> None:
    found = await FILTER.local["rules"](workspace("quantum"), tools)
    assert ids(found) == ["c2", "c1", "c3"]


@pytest.mark.parametrize("method", ["rules", "specialist"])
async def test_of_many_chunks_at_most_half_are_kept(method: str, tools: Tools) -> None:
    many = tuple(replace(CHUNKS[0], id=f"m{i}", text=f"Ada: pottery {i}") for i in range(9))
    assert len(await FILTER.local[method](workspace("pottery", many), tools)) == 5


def test_parses_numbers_in_any_shape_and_drops_unknown_ones() -> None:
    work = workspace("q")
    assert ids(FILTER.parse('{"keep": [3, "1", 3, 9, 0]}', work)) == ["c3", "c1"]


def test_an_empty_list_keeps_the_best_scoring_chunk() -> None:
    assert ids(FILTER.parse('{"keep": []}', workspace("q"))) == ["c2"]
    assert FILTER.parse('{"keep": []}', workspace("q", ())) == ()


@pytest.mark.parametrize("reply", ["none of them", '{"keep": [7]}', '{"keep": ["x"]}', ""])
def test_unusable_replies_are_refused(reply: str) -> None:
    with pytest.raises(ReplyError):
        FILTER.parse(reply, workspace("q"))


def test_reads_the_retrieved_chunks_whatever_is_kept() -> None:
    work = workspace("q").with_kept(frozenset({"c1"}))
    assert FILTER.reads(work) == CHUNKS
