from __future__ import annotations

import json
from datetime import datetime

import pytest

from budgetmem.backbone import Annotation, Entity, HashEncoder, ScriptedTagger
from budgetmem.errors import ReplyError
from budgetmem.modules.base import Tools
from budgetmem.modules.temporal import Temporal
from budgetmem.types import Chunk
from tests.modules.conftest import workspace

TEMPORAL = Temporal()


@pytest.mark.parametrize("method", ["rules", "specialist"])
async def test_every_resolved_expression_is_an_event(method: str, tools: Tools) -> None:
    found = await TEMPORAL.local[method](workspace("When did Ben adopt a dog?"), tools)
    assert found[0].text == "Ben adopted a dog named Rex (two weeks before 9 June 2023)"
    assert {f.text for f in found} == {
        found[0].text,
        "Ada went to a pottery class and it was great fun (7 May 2023)",
        "Ladle Weekly (1844-1846) was a cooking magazine published in Lisbon since 1844 (1844)",
    }


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ("I ran on 8 May, and I rested.", "Ada ran, and Ada rested (8 May 2023)"),
        ("I have taught chess since 2016.", "Ada has taught chess since 2016 (2016)"),
        (
            "Last week's race was hard.",
            "Ada: Last week's race was hard (the week before 9 June 2023)",
        ),
        ("Sorry, but I sang in the choir in 2019!", "Ada sang in the choir (2019)"),
    ],
)
async def test_events_are_self_contained_clauses(said: str, text: str, tools: Tools) -> None:
    chunk = Chunk("c", "s", datetime(2023, 6, 9), ("t",), f"Ada: {said}", 9)
    (found,) = await TEMPORAL.local["rules"](workspace("q", (chunk,)), tools)
    assert found.text == text


async def test_rules_give_the_iso_value(tools: Tools) -> None:
    found = await TEMPORAL.local["rules"](workspace("pottery"), tools)
    assert found[0].fields["iso"] == "2023-05-07"
    assert found[0].fields["granularity"] == "day"


async def test_the_recogniser_adds_dates_that_no_rule_knows() -> None:
    said = "We toured Spain in the 1990s."
    chunk = Chunk("c", "s", datetime(2023, 6, 9), ("t",), f"Ada: {said}", 9)
    tagger = ScriptedTagger({said: Annotation(entities=(Entity("the 1990s", "DATE"),), tokens=6)})
    (found,) = await TEMPORAL.local["specialist"](
        workspace("Spain", (chunk,)), Tools(HashEncoder(), tagger)
    )
    assert found.fields["date"] == "the 1990s"


@pytest.mark.parametrize(
    ("date", "shown"),
    [
        ("7 May 2023", "7 May 2023"),
        ("2023-05-07", "7 May 2023"),
        ("yesterday", "7 May 2023"),
        ("last week", "the week before 8 May 2023"),
        ("her childhood", "her childhood"),
    ],
)
def test_dates_of_replies_are_resolved(date: str, shown: str) -> None:
    reply = json.dumps({"events": [{"event": "Ada ran", "date": date, "memory": 1}]})
    (found,) = TEMPORAL.parse(reply, workspace("q"))
    assert found.text == f"Ada ran ({shown})"
    assert found.chunk_ids == ("c1",)


def test_an_event_without_a_date_is_the_event_alone() -> None:
    reply = '{"events": [{"event": "Ada ran", "date": "", "memory": 1}]}'
    (found,) = TEMPORAL.parse(reply, workspace("q"))
    assert (found.text, found.fields) == ("Ada ran", {"event": "Ada ran"})


def test_empty_and_unusable_replies() -> None:
    assert TEMPORAL.parse('{"events": []}', workspace("q")) == ()
    with pytest.raises(ReplyError):
        TEMPORAL.parse('{"events": [{"event": "x", "date": "y", "memory": 4}]}', workspace("q"))
