from __future__ import annotations

import json

import pytest

from budgetmem.errors import ReplyError
from budgetmem.modules.base import Tools
from budgetmem.modules.extraction import MAX_CHARACTERS
from budgetmem.modules.topic import Topic
from tests.modules.conftest import workspace

TOPIC = Topic()
FACT = "Ada: I went to a pottery class yesterday [7 May 2023] and it was great fun."


@pytest.mark.parametrize("method", ["rules", "specialist"])
async def test_the_best_fact_answers_the_query(method: str, tools: Tools) -> None:
    found = await TOPIC.local[method](workspace("Did Ada enjoy her pottery class?"), tools)
    assert found[0].text == FACT
    assert "pottery class" in found[0].fields["topic"]
    assert found[0].chunk_ids == ("c1",)


@pytest.mark.parametrize("method", ["rules", "specialist"])
async def test_facts_differ_and_greetings_are_none(method: str, tools: Tools) -> None:
    found = await TOPIC.local[method](workspace("Ada Ben pottery bowl dog"), tools)
    texts = [f.text for f in found]
    assert len(texts) == len(set(texts)) > 1
    assert not any("Lovely!" in text or "Cool!" in text for text in texts)


async def test_rules_stay_on_the_query(tools: Tools) -> None:
    assert await TOPIC.local["rules"](workspace("quantum"), tools) == ()


def test_parses_facts_with_dates_resolved() -> None:
    reply = '{"facts": [{"topic": "art", "fact": "Ada made a bowl last week", "memory": 1}]}'
    (found,) = TOPIC.parse(reply, workspace("q"))
    assert found.text == "Ada made a bowl last week [the week before 8 May 2023]"
    assert found.fields["topic"] == "art"


def test_a_fact_that_goes_on_is_cut_at_a_word() -> None:
    fact = " ".join(["pottery"] * 60)
    reply = json.dumps({"facts": [{"topic": "art", "fact": fact, "memory": 1}]})
    (found,) = TOPIC.parse(reply, workspace("q"))
    assert found.text == " ".join(["pottery"] * (MAX_CHARACTERS // 8)) + " …"
    endless = json.dumps({"facts": [{"topic": "art", "fact": "x" * 999, "memory": 1}]})
    (found,) = TOPIC.parse(endless, workspace("q"))
    assert found.text == "x" * MAX_CHARACTERS + " …"


def test_empty_and_unusable_replies() -> None:
    assert TOPIC.parse('{"facts": []}', workspace("q")) == ()
    with pytest.raises(ReplyError, match="'facts'"):
        TOPIC.parse("Ada likes art.", workspace("q"))
