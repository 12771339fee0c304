"""The tools through the official MCP client, against real doors with a fake engine behind them."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime, timedelta, timezone

import pytest
from jsonschema import Draft202012Validator

from budgetmem import errors
from budgetmem.client import AsyncClient
from budgetmem.tiers import Tier
from budgetmem.types import Budget
from budgetmem.wire.faults import REASONS, reason_of
from tests.served import served
from tests.server.fake_engine import running

TURNS = [
    {"speaker": "Ana", "text": "I booked", "time": "2023-05-08T13:56:00", "session": "s1"},
    {"speaker": "Bo", "text": "Fine", "caption": "a ticket"},
]
ASKED = {"history": "trip", "question": "When?"}
SAID = "2023-05-08T13:56:00"


def failed(result):
    assert result.is_error
    return result.content[0].text


async def test_tools_say_what_they_do(session):
    async with session() as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert "`extract`" in client.instructions
    hints = {
        name: (tool.annotations.read_only_hint, tool.annotations.destructive_hint)
        for name, tool in tools.items()
    }
    assert hints == {
        "histories": (True, None),
        "ingest": (False, False),
        "extract": (True, None),
        "answer": (True, None),
        "forget": (False, True),
    }
    assert all(tool.annotations.idempotent_hint for tool in tools.values())
    assert not any(tool.annotations.open_world_hint for tool in tools.values())
    assert all(tool.title and tool.description for tool in tools.values())
    described = json.dumps(tools["extract"].input_schema)
    assert "What one call may spend" in described
    assert all(word in described for word in ("low", "mid", "high", "Hard ceiling in USD"))
    assert set(tools["extract"].output_schema["properties"]) == {"memory", "evidence", "receipt"}


async def test_what_is_ingested_is_listed_and_kept_once(session, server):
    async with session() as client:
        first = await client.call_tool("ingest", {"history": "trip", "turns": TURNS})
        assert first.structured_content == {"added": 2, "unchanged": 0}
        again = await client.call_tool("ingest", {"history": "trip", "turns": TURNS})
        assert again.structured_content == {"added": 0, "unchanged": 2}
        found = await client.call_tool("histories", {})
    assert found.structured_content["histories"] == [
        {
            "history": "trip",
            "turns": 2,
            "sessions": 1,
            "first": "2023-05-08T13:56:00",
            "last": "2023-05-08T13:56:00",
            "damaged": False,
        }
    ]
    ana, bo = server.histories.kept["default", "trip"]
    assert (ana.speaker, ana.text, ana.time) == ("Ana", "I booked", datetime(2023, 5, 8, 13, 56))
    assert (bo.caption, bo.time, bo.session) == ("a ticket", None, "")
    assert ana.id != bo.id


async def test_results_are_of_their_schema_for_clients_that_check_formats_too(session):
    calls = {
        "ingest": {"history": "trip", "turns": TURNS},
        "histories": {},
        "extract": ASKED,
        "answer": ASKED,
        "forget": {"history": "trip", "whole_history": True},
    }
    async with session() as client:
        schemas = {tool.name: tool.output_schema for tool in (await client.list_tools()).tools}
        results = {
            name: (await client.call_tool(name, arguments)).structured_content
            for name, arguments in calls.items()
        }
    assert SAID in json.dumps(results["histories"])
    assert SAID in json.dumps(results["extract"])
    assert results.keys() == schemas.keys()
    for name, result in results.items():
        checks = Draft202012Validator.FORMAT_CHECKER
        Draft202012Validator(schemas[name], format_checker=checks).validate(result)
    # jsonschema checks this format only where another package is there too.
    assert "date-time" not in json.dumps(schemas)


@pytest.mark.parametrize(("given", "offset"), [("", None), ("Z", 0), ("+02:00", 2)])
async def test_times_may_have_an_offset_and_need_none(session, server, given, offset):
    turns = [{**TURNS[0], "time": SAID + given}]
    async with session() as client:
        tools = (await client.list_tools()).tools
        await client.call_tool("ingest", {"history": "trip", "turns": turns})
    [turn] = server.histories.kept["default", "trip"]
    zone = None if offset is None else timezone(timedelta(hours=offset))
    assert turn.time == datetime(2023, 5, 8, 13, 56, tzinfo=zone)
    assert "date-time" not in json.dumps([tool.input_schema for tool in tools])


async def test_a_damaged_history_is_listed_as_such(session, server):
    server.histories.damaged.add("trip")
    async with session() as client:
        await client.call_tool("ingest", {"history": "trip", "turns": TURNS})
        found = (await client.call_tool("histories", {})).structured_content["histories"]
    assert [(each["history"], each["damaged"]) for each in found] == [("trip", True)]


async def test_memory_comes_with_evidence_and_a_receipt(session):
    async with session() as client:
        result = await client.call_tool("extract", ASKED)
    assert result.structured_content == {
        "memory": "Ana booked in May.",
        "evidence": [
            {"turn_ids": ["t1"], "speaker": "Ana", "text": "hi", "time": SAID, "quoted": False},
            {"turn_ids": ["t2"], "speaker": "Bo", "text": "hi", "time": SAID, "quoted": False},
        ],
        "receipt": {
            "cost_usd": 3e-6,
            "milliseconds": 12.0,
            "input_tokens": 15,
            "output_tokens": 3,
            "strategy": "implementation",
            "tiers": {"filter": "low", "entity": "high"},
            "notes": [
                "filter: high not allowed: too dear",
                "entity: ask reflective @ high given up: did not parse",
                "a note",
            ],
        },
    }
    assert json.loads(result.content[0].text) == result.structured_content


async def test_a_model_forgets_what_the_memory_quotes_and_nothing_beside_it(session, tmp_path):
    turns = [
        {"id": "t1", "speaker": "Ana", "text": "I moved to Lisbon in May."},
        # A memory of the tier low has 60 words, so this one does not fit beside the other.
        {"id": "t2", "speaker": "Bo", "text": " ".join(f"w{i}" for i in range(58))},
    ]
    asked = {**ASKED, "question": "Where did Ana move?", "budget": {"tier": "low"}}
    with served(tmp_path) as address:
        async with session(address=address) as client:
            await client.call_tool("ingest", {"history": "trip", "turns": turns})
            [found] = (await client.call_tool("extract", asked)).structured_content["evidence"]
            named = {"history": "trip", "turn_ids": found["turn_ids"]}
            forgotten = (await client.call_tool("forget", named)).structured_content
        async with AsyncClient(address, timeout_s=60) as kept:
            assert [turn.id async for turn in kept.export("trip")] == ["t2"]
    assert found["text"] == "I moved to Lisbon in May."
    assert (found["speaker"], found["quoted"]) == ("Ana", True)
    assert (forgotten["turns"], forgotten["remaining"]) == (1, 0)


async def test_what_may_be_forgotten_is_told_where_it_is_read(session):
    async with session() as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert "`evidence` names the turns for `forget`" not in tools["extract"].description
    assert "is what the user wants gone" in " ".join(tools["forget"].description.split())


async def test_an_answer_comes_with_its_memory(session):
    async with session() as client:
        result = await client.call_tool("answer", ASKED)
    assert result.structured_content["answer"] == "In May."
    assert result.structured_content["memory"] == "Ana booked in May."


@pytest.mark.parametrize("tool", ["extract", "answer"])
async def test_the_budget_reaches_the_pipeline(session, server, tool):
    budget = {
        "tier": "high",
        "tiers": {"filter": "low"},
        "cost_weight": 0.5,
        "max_cost_usd": 2e-5,
        "max_latency_ms": 900,
    }
    async with session() as client:
        arguments = {**ASKED, "budget": budget, "asked_at": "2024-01-02T00:00:00Z"}
        assert not (await client.call_tool(tool, arguments)).is_error
    [request] = server.pipeline.requests
    high = dict.fromkeys(("entity", "temporal", "topic", "summary"), Tier.HIGH)
    assert request.budget == Budget({"filter": Tier.LOW, **high}, 0.5, 2e-5, 900)
    assert request.asked_at == datetime(2024, 1, 2, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("asked", "granted"),
    [
        (None, (1e-4, 500.0)),
        ({"tier": "low"}, (1e-4, 500.0)),
        ({"max_cost_usd": 1.0, "max_latency_ms": 1e6}, (1e-4, 500.0)),
        ({"max_cost_usd": 1e-5, "max_latency_ms": 20}, (1e-5, 20.0)),
    ],
)
async def test_no_call_gets_more_than_the_users_ceilings(session, server, asked, granted):
    async with session(Budget(max_cost_usd=1e-4, max_latency_ms=500.0)) as client:
        await client.call_tool("extract", {**ASKED, "budget": asked})
    [request] = server.pipeline.requests
    assert (request.budget.max_cost_usd, request.budget.max_latency_ms) == granted


async def test_forget_deletes_turns_or_all_of_a_history(session, server):
    turns = [{**TURNS[0], "id": "t1"}, {**TURNS[1], "id": "t2"}]
    async with session() as client:
        await client.call_tool("ingest", {"history": "trip", "turns": turns})
        one = await client.call_tool("forget", {"history": "trip", "turn_ids": ["t1"]})
        assert one.structured_content == {"turns": 1, "remaining": 0, "record": "r1"}
        rest = await client.call_tool("forget", {"history": "trip", "whole_history": True})
        assert rest.structured_content == {"turns": 1, "remaining": 0, "record": ""}
    assert server.histories.kept == {}


@pytest.mark.parametrize("which", [{}, {"turn_ids": ["t1"], "whole_history": True}])
async def test_what_is_to_be_forgotten_must_be_plain(session, server, which):
    async with session() as client:
        await client.call_tool("ingest", {"history": "trip", "turns": TURNS})
        refused = await client.call_tool("forget", {"history": "trip", **which})
    assert "either turn_ids, or whole_history=true" in failed(refused)
    assert len(server.histories.kept["default", "trip"]) == 2


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (errors.NotFound("no history 'x'"), "`histories`"),
        (errors.BudgetTooSmall("needs USD 1"), "higher ceiling"),
        (errors.BackboneUnavailable("backbone_high is gone"), 'tier "low"'),
        (errors.Overloaded("busy", 250.0), "after 250 ms"),
        (errors.InvalidInput("turns", "are bad"), "correct this field"),
        (errors.BackboneError("it broke"), "tell the user"),
        (errors.StoreUnavailable("no database"), "whether the database runs"),
        (errors.StoreDamaged("history 'x' is damaged"), "backup"),
        (errors.ServerError("of another version"), "do not try again"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
async def test_errors_say_what_is_wrong_and_what_to_do(session, server, error, advice):
    server.pipeline.failure = error
    async with session() as client:
        said = failed(await client.call_tool("extract", ASKED))
    assert str(error) in said
    assert advice in said.split("What to do: ")[1]


# The root is never raised itself, and a reply that does not parse falls one rung on the server.
SENT = sorted(set(REASONS.values()) - {errors.BudgetMemError, errors.ReplyError}, key=reason_of)


@pytest.mark.parametrize("error", SENT, ids=reason_of)
async def test_every_error_that_the_server_sends_comes_with_advice(session, server, error):
    given = ("turns", "it broke") if issubclass(error, errors.InvalidInput) else ("it broke",)
    server.pipeline.failure = error(*given)
    async with session() as client:
        said = failed(await client.call_tool("extract", ASKED))
    assert "it broke. What to do: " in said


async def test_no_server_is_said_to_the_model(session):
    async with session(address="127.0.0.1:1") as client:
        said = failed(await client.call_tool("histories", {}))
    assert "127.0.0.1:1" in said
    assert "budgetmem serve" in said


@pytest.mark.parametrize(
    ("tool", "arguments", "said"),
    [
        ("extract", {"history": "trip", "question": " "}, "question: must not be empty"),
        ("answer", {"history": "trip", "question": " "}, "answer: question: must not be empty"),
        ("answer", {"history": " ", "question": "When?"}, "answer: history: must not be empty"),
        ("extract", {**ASKED, "budget": {"tier": "best"}}, "budget.tier"),
        ("extract", {**ASKED, "budget": {"max_cost": 1}}, "budget.max_cost"),
        ("extract", {**ASKED, "budget": {"max_cost_usd": -1}}, "budget.max_cost_usd"),
        ("extract", {**ASKED, "budget": {"tiers": {"mood": "low"}}}, "mood"),
        ("ingest", {"history": "trip", "turns": []}, "turns"),
        ("ingest", {"history": "trip", "turns": [{**TURNS[0], "text": ""}]}, "turns[0].text"),
        ("ingest", {"history": "trip", "turns": [{**TURNS[0], "when": "now"}]}, "when"),
        ("ingest", {"history": "trip", "turns": [{**TURNS[0], "time": "May"}]}, "'May' is not"),
        ("extract", {**ASKED, "asked_at": "2024"}, "'2024' is not an ISO 8601 time"),
        ("extract", {**ASKED, "asked_at": 1704153600}, "must be the text of an ISO 8601 time"),
    ],
)
async def test_bad_arguments_are_named(session, server, tool, arguments, said):
    async with session() as client:
        assert said in failed(await client.call_tool(tool, arguments))
    assert server.pipeline.requests == []


async def test_a_cancelled_call_cancels_the_work(session, server):
    server.pipeline.takes_s = 60
    async with session() as client:
        call = asyncio.create_task(client.call_tool("extract", ASKED))
        while not server.pipeline.requests:
            await asyncio.sleep(0.01)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert await asyncio.to_thread(server.pipeline.cancelled.wait, 30)


async def test_a_starting_server_is_worth_a_retry(session):
    with running(serve=False) as starting:
        async with session(address=starting.address) as client:
            said = failed(await client.call_tool("extract", ASKED))
    assert "starting" in said
    assert "try again in a minute" in said
