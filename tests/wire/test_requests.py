from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from budgetmem.errors import InvalidInput
from budgetmem.info import Limits
from budgetmem.proto.budgetmem.v1 import admin_pb2
from budgetmem.proto.budgetmem.v1 import memory_pb2 as pb
from budgetmem.tiers import Tier
from budgetmem.types import Budget
from budgetmem.wire.admin import decode_reload
from budgetmem.wire.requests import decode_query, decode_turns, encode_query

MODULES = ("filter", "entity", "summary")
TURN = {"id": "t1", "speaker": "Ana", "text": "hello"}


def query(**fields) -> pb.ExtractRequest:
    return pb.ExtractRequest(**{"history": "h", "query": "q"} | fields)


@pytest.mark.parametrize(
    ("message", "field", "says"),
    [
        (query(history=" "), "history", "empty"),
        (query(history="ü" * 129), "history", "258 bytes long, the limit is 256"),
        (query(query=""), "query", "empty"),
        (query(query="x" * 32769), "query", "32769 bytes long, the limit is 32768 bytes"),
        (query(strategy="best"), "strategy", "'best' is not one of implementation, reasoning"),
        (query(budget=pb.Budget(cost_weight=-0.5)), "budget.cost_weight", "is -0.5"),
        (query(budget=pb.Budget(cost_weight=float("nan"))), "budget.cost_weight", "nan"),
        (query(budget=pb.Budget(max_cost_usd=float("inf"))), "budget.max_cost_usd", "inf"),
        (query(budget=pb.Budget(max_latency_ms=-1)), "budget.max_latency_ms", "-1.0"),
        (query(budget=pb.Budget(tier=7)), "budget.tier", "7 is not a tier"),
        (query(budget=pb.Budget(tiers={"filter": 0})), 'budget.tiers["filter"]', "0 is not"),
        (query(budget=pb.Budget(tiers={"dates": 1})), "budget.tiers", "'dates' is not one of"),
        (query(retrieval=pb.Retrieval(max_tokens=0)), "retrieval.max_tokens", "must be > 0"),
        (query(retrieval=pb.Retrieval(max_tokens=16385)), "retrieval.max_tokens", "are the most"),
        (query(asked_at="yesterday"), "asked_at", "'yesterday' is not an ISO 8601 time"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_bad_query_is_refused_by_field(message, field, says):
    with pytest.raises(InvalidInput, match=says.replace("(", r"\(")) as caught:
        decode_query(message, Limits(), MODULES)
    assert caught.value.field == field


def test_paths_start_with_the_prefix():
    with pytest.raises(InvalidInput) as caught:
        decode_query(query(query=""), Limits(), MODULES, prefix="extract.")
    assert caught.value.field == "extract.query"


def test_a_query_of_exactly_the_limit_passes():
    assert decode_query(query(query="x" * 32768), Limits(), MODULES).query == "x" * 32768


def test_zero_is_a_ceiling_and_absence_is_none():
    zero = decode_query(query(budget=pb.Budget(max_cost_usd=0)), Limits(), MODULES)
    assert zero.budget.max_cost_usd == 0.0
    assert decode_query(query(), Limits(), MODULES).budget == Budget()


def test_a_cost_weight_of_zero_is_not_the_absence_of_one():
    for given in (None, 0.0):
        message = encode_query("h", "q", budget=Budget(cost_weight=given))
        assert decode_query(message, Limits(), MODULES).budget.cost_weight == given


def test_a_pinned_module_overrides_the_tier_for_all():
    message = encode_query("h", "q", budget=Budget({"entity": Tier.LOW}), tier=Tier.HIGH)
    found = decode_query(message, Limits(), MODULES).budget.tiers
    assert found == {"filter": Tier.HIGH, "entity": Tier.LOW, "summary": Tier.HIGH}


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        (TURN | {"id": ""}, "turns[1].id"),
        (TURN | {"id": "x" * 257}, "turns[1].id"),
        (TURN | {"speaker": " "}, "turns[1].speaker"),
        (TURN | {"text": "\n"}, "turns[1].text"),
        (TURN | {"text": "x" * (1024 * 1024 + 1)}, "turns[1].text"),
        (TURN | {"time": "8 May"}, "turns[1].time"),
        (TURN | {"session": "x" * 257}, "turns[1].session"),
    ],
)
def test_a_bad_turn_is_refused_by_field(fields, field):
    with pytest.raises(InvalidInput) as caught:
        decode_turns([pb.Turn(**TURN), pb.Turn(**fields)], Limits())
    assert caught.value.field == field


def test_no_turns_are_refused():
    with pytest.raises(InvalidInput) as caught:
        decode_turns([], Limits())
    assert caught.value.field == "turns"


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("", None),
        ("2023-05-08T13:56:00", datetime(2023, 5, 8, 13, 56)),
        ("2023-05-08", datetime(2023, 5, 8)),
        ("2023-05-08T13:56:00Z", datetime(2023, 5, 8, 13, 56, tzinfo=timezone.utc)),
        (
            "2023-05-08T13:56:00+02:00",
            datetime(2023, 5, 8, 13, 56, tzinfo=timezone(timedelta(hours=2))),
        ),
    ],
)
def test_times_keep_their_wall_clock(text, time):
    [turn] = decode_turns([pb.Turn(**TURN, time=text)], Limits())
    assert turn.time == time
    assert (turn.time is None) == (time is None)
    if time is not None:
        assert turn.time.utcoffset() == time.utcoffset()


def test_a_reload_names_a_strategy_or_none():
    assert decode_reload(admin_pb2.ReloadRoutersRequest()) == ""
    assert decode_reload(admin_pb2.ReloadRoutersRequest(strategy="capacity")) == "capacity"
    with pytest.raises(InvalidInput) as caught:
        decode_reload(admin_pb2.ReloadRoutersRequest(strategy="../capacity"))
    assert caught.value.field == "strategy"
