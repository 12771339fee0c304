from __future__ import annotations

import json

import pytest

from budgetmem.errors import ReplyError
from budgetmem.modules.base import Tools
from budgetmem.modules.entity import Entity
from tests.modules.conftest import CHUNKS, workspace

ENTITY = Entity()


async def test_rules_attribute_first_person_to_the_speaker(tools: Tools) -> None:
    found = await ENTITY.local["rules"](workspace("What did Ada make for her sister?"), tools)
    bowl = next(f for f in found if "bowl for" in f.text)
    assert bowl.text == "Ada made a blue bowl for Ada's sister Clara"
    assert bowl.fields["subject"] == "Ada"
    assert bowl.fields["relation"] == "made"
    assert bowl.chunk_ids == ("c1",)


async def test_rules_resolve_you_to_the_other_speaker(tools: Tools) -> None:
    found = await ENTITY.local["rules"](workspace("What has Ben wanted?"), tools)
    assert "Ben has always wanted one" in [f.text for f in found]


async def test_you_stays_unresolved_among_three(tools: Tools) -> None:
    third = CHUNKS[1].__class__("c9", "s9", None, ("t",), "Cleo: You won a prize.", 5)
    found = await ENTITY.local["rules"](workspace("Who won a prize?", (*CHUNKS, third)), tools)
    assert not any("Ada won" in f.text or "Ben won" in f.text for f in found)


async def test_rules_read_documents(tools: Tools) -> None:
    (found,) = await ENTITY.local["rules"](workspace("Which magazine?"), tools)
    assert found.fields["subject"] == "Ladle Weekly"
    assert found.fields["relation"] == "was"
    assert found.fields["object"].startswith("a cooking magazine")


async def test_rules_say_what_is_shared(tools: Tools) -> None:
    found = await ENTITY.local["rules"](workspace("What is on the shelf?"), tools)
    assert [f.text for f in found] == ["Ada shares an image: a bowl on a shelf"]


async def test_rules_resolve_dates_and_stay_on_the_query(tools: Tools) -> None:
    (found,) = await ENTITY.local["rules"](workspace("pottery"), tools)
    assert "yesterday [7 May 2023]" in found.text
    assert await ENTITY.local["rules"](workspace("quantum"), tools) == ()


async def test_specialist_resolves_and_ranks_the_parsers_clauses(tools: Tools) -> None:
    found = await ENTITY.local["specialist"](workspace("Who adopted a dog?"), tools)
    assert found[0].text == "Ben adopted a dog"
    assert found[0].chunk_ids == ("c2",)
    texts = {f.text for f in found}
    assert {"Ada went a pottery class", "Ada made a blue bowl", "Ben wanted one"} <= texts
    assert not any(f.fields["subject"] == "it" for f in found)


def test_parses_relations_and_drops_unknown_memories() -> None:
    relations = [
        {"subject": "Ben", "relation": "owns", "object": "Rex &lt;3", "memory": 2},
        {"subject": "Ben", "relation": "owns", "object": "a yacht", "memory": 9},
        {"subject": "Ben", "relation": "", "object": "x", "memory": 1},
        "noise",
    ]
    (found,) = ENTITY.parse(json.dumps({"reasoning": "…", "relations": relations}), workspace("q"))
    assert (found.text, found.chunk_ids) == ("Ben owns Rex <3", ("c2",))


def test_numbers_count_the_kept_chunks() -> None:
    work = workspace("q").with_kept(frozenset({"c3"}))
    reply = '{"relations": [{"subject": "a", "relation": "b", "object": "c", "memory": 1}]}'
    assert ENTITY.parse(reply, work)[0].chunk_ids == ("c3",)
    assert ENTITY.reads(work) == work.kept


def test_an_empty_list_is_valid_and_useless_items_are_not() -> None:
    assert ENTITY.parse('{"relations": []}', workspace("q")) == ()
    with pytest.raises(ReplyError, match="none of the 1 items"):
        ENTITY.parse('{"relations": [{"subject": "a", "memory": 1}]}', workspace("q"))
