from __future__ import annotations

import asyncio
from datetime import datetime, timedelta, timezone

import pytest

from budgetmem import errors
from budgetmem.client import AsyncClient, Client
from budgetmem.info import BATCH_TURNS
from budgetmem.pipeline import RetrievedEvent, StepEvent
from budgetmem.tiers import Tier
from budgetmem.types import Budget, Turn
from tests.server.fake_engine import ANSWER, CHUNK, FINDINGS, INFO, MEMORY, STEPS, running

CEST = timezone(timedelta(hours=2))
TURNS = [
    Turn("t1", "Ana", "I booked", datetime(2023, 5, 8, 0, 30), "s1", "a ticket", {"k": "v"}),
    Turn("t2", "Bo", "Fine", datetime(2023, 5, 9, 0, 30, tzinfo=CEST)),
    Turn("t3", "Bo", "No time at all"),
]


@pytest.fixture
def client(server):
    with Client(server.address, timeout_s=10) as client:
        yield client


def test_turns_come_back_as_they_were_sent(client):
    report = client.ingest("trip", TURNS)
    assert (report.added, report.unchanged) == (3, 0)
    assert client.ingest("trip", TURNS).unchanged == 3
    back = list(client.export("trip"))
    assert back == TURNS
    assert back[0].time.tzinfo is None
    assert back[1].time.utcoffset() == timedelta(hours=2)


def test_histories_are_listed_by_tenant_and_deleted_with_proof(server, client):
    client.ingest("trip", TURNS[:2])
    [found] = client.histories()
    assert (found.history, found.turns, found.settings.encoder) == ("trip", 2, "minilm")
    with Client(server.address, tenant="other") as other:
        assert other.histories() == ()
        with pytest.raises(errors.NotFound, match="trip"):
            other.delete("trip")
    proof = client.delete("trip")
    assert (proof.turns, proof.remaining) == (2, 0)
    assert client.histories() == ()


def test_turns_and_tenants_are_deleted_with_proof(server, client):
    client.ingest("trip", TURNS[:3])
    proof = client.delete_turns("trip", [TURNS[0].id, "other"])
    assert (proof.turns, proof.histories, proof.record) == (1, 0, "r1")
    with pytest.raises(errors.InvalidInput, match="turn_ids: must not be empty"):
        client.delete_turns("trip", [])
    with pytest.raises(errors.InvalidInput, match=r"turn_ids\[1\]: must not be empty"):
        client.delete_turns("trip", ["t", ""])
    with pytest.raises(errors.InvalidInput, match=r"turn_ids: .* \['17'\] perhaps"):
        client.delete_turns("trip", "17")
    with pytest.raises(errors.NotFound, match="other"):
        client.delete_turns("other", ["t"])
    with Client(server.address, tenant="other") as other:
        assert other.delete_tenant().histories == 0
    assert (client.delete_tenant().turns, client.histories()) == (2, ())


@pytest.mark.parametrize("strategy", ["x" * 100_000, "漢" * 2000])
def test_a_refusal_that_quotes_a_long_text_is_the_refusal_that_it_is(client, strategy):
    with pytest.raises(errors.InvalidInput, match="strategy: '") as caught:
        client.extract("trip", "When?", strategy=strategy)
    assert caught.value.field == "strategy"


def test_memory_answer_and_info_arrive_whole(client):
    assert client.extract("trip", "When?") == MEMORY
    assert client.answer("trip", "When?") == ANSWER
    assert client.info() == INFO


def test_a_query_reaches_the_pipeline_with_all_its_options(server, client):
    client.extract(
        "trip",
        "When?",
        strategy="capacity",
        budget=Budget({"filter": Tier.HIGH}, 0.5, 2e-5, 1500.0),
        tier=Tier.LOW,
        max_tokens=300,
        asked_at=datetime(2024, 1, 2, tzinfo=timezone.utc),
    )
    [request] = server.pipeline.requests
    assert (request.tenant, request.history, request.query) == ("default", "trip", "When?")
    assert (request.strategy, request.max_tokens) == ("capacity", 300)
    assert request.asked_at == datetime(2024, 1, 2, tzinfo=timezone.utc)
    low = dict.fromkeys(("entity", "temporal", "topic", "summary"), Tier.LOW)
    assert request.budget == Budget({"filter": Tier.HIGH, **low}, 0.5, 2e-5, 1500.0)


def test_a_bare_query_has_no_ceilings(server, client):
    client.extract("trip", "When?")
    [request] = server.pipeline.requests
    assert request.budget == Budget()
    assert (request.strategy, request.max_tokens, request.asked_at) == (
        "implementation",
        None,
        None,
    )


def test_the_stream_tells_retrieval_then_steps_then_memory(client):
    events = list(client.extract_stream("trip", "When?"))
    steps = [StepEvent(step, FINDINGS[step.module]) for step in STEPS]
    assert events == [RetrievedEvent((CHUNK,)), *steps, MEMORY]


def test_leaving_the_stream_cancels_the_work(server, client):
    server.pipeline.takes_s = 60
    stream = client.extract_stream("trip", "When?")
    assert isinstance(next(stream), RetrievedEvent)
    stream.close()
    assert server.pipeline.cancelled.wait(5)


def test_a_deadline_cancels_the_work(server, client):
    server.pipeline.takes_s = 60
    with pytest.raises(errors.DeadlineExceeded):
        client.extract("trip", "When?", timeout_s=0.3)
    assert server.pipeline.cancelled.wait(5)


@pytest.mark.parametrize(
    "error",
    [
        errors.NotFound("no history 'x'"),
        errors.BudgetTooSmall("needs USD 1"),
        errors.BackboneUnavailable("backbone_high is gone"),
        errors.BackboneError("it broke"),
        errors.Overloaded("busy", 250.0),
        errors.DuplicateTurn("turns[0].id", "is taken"),
        errors.InvalidInput("query", "is bad ü"),
        errors.ConfigError("another encoder " * 400),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_come_back_as_they_were_raised(server, client, error):
    server.pipeline.failure = error
    with pytest.raises(type(error)) as caught:
        client.extract("trip", "When?")
    assert type(caught.value) is type(error)
    message = str(caught.value).removesuffix("…")
    assert str(error).startswith(message)
    assert len(message) >= min(1500, len(str(error)))
    assert getattr(caught.value, "field", None) == getattr(error, "field", None)
    assert getattr(caught.value, "retry_after_ms", 0) == getattr(error, "retry_after_ms", 0)


def test_a_bug_of_the_server_is_a_server_error(server, client):
    server.pipeline.failure = ZeroDivisionError("oops")
    with pytest.raises(errors.ServerError, match="UNKNOWN"):
        client.extract("trip", "When?")


def test_the_field_of_a_bad_turn_counts_from_the_callers_first_turn(client):
    turns = [Turn(str(i), "Ana", "hello") for i in range(BATCH_TURNS)]
    with pytest.raises(errors.InvalidInput) as caught:
        client.ingest("trip", [*turns, Turn("ok", "Ana", "x"), Turn("bad", "Ana", " ")])
    assert caught.value.field == f"turns[{BATCH_TURNS + 1}].text"
    assert str(caught.value).startswith(caught.value.field)


def test_batches_are_reported_and_summed(client):
    seen = []
    turns = [Turn(str(i), "Ana", "hello") for i in range(BATCH_TURNS + 1)]
    total = client.ingest("trip", turns, on_batch=lambda count, report: seen.append(count))
    assert seen == [BATCH_TURNS, 1]
    assert (total.added, total.tokens) == (BATCH_TURNS + 1, 7 * (BATCH_TURNS + 1))


def test_big_turns_travel_in_small_batches(client):
    turns = [Turn(str(i), "Ana", "x" * 1_000_000) for i in range(20)]
    assert client.ingest("trip", turns).added == 20
    assert len(list(client.export("trip"))) == 20


def test_a_message_over_the_limit_is_invalid_input(client):
    with pytest.raises(errors.InvalidInput, match="larger than max") as caught:
        client.ingest("trip", [Turn("1", "Ana", "x" * 17 * 1024 * 1024)])
    assert caught.value.field == "message"


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda c: c.ingest("h", [*TURNS, Turn("t", "Ana", "half \ud83d a face")]), "turns[3]"),
        (lambda c: c.extract("h", "half \ud83d a face"), "request"),
        (lambda c: c.extract("h", "q", max_tokens=2**40), "request"),
    ],
)
def test_what_cannot_be_sent_is_invalid_input(client, call, field):
    with pytest.raises(errors.InvalidInput, match="cannot be sent") as caught:
        call(client)
    assert caught.value.field == field


def test_a_tenant_that_cannot_be_a_header_is_invalid_input(server):
    with (
        Client(server.address, tenant="münchen") as client,
        pytest.raises(errors.InvalidInput) as caught,
    ):
        client.histories()
    assert caught.value.field == "tenant"


def test_no_server_is_server_unavailable():
    with (
        Client("127.0.0.1:1", timeout_s=10) as client,
        pytest.raises(errors.ServerUnavailable, match=r"127\.0\.0\.1:1"),
    ):
        client.info()


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.info(),
        lambda client: client.ingest("trip", TURNS),
        lambda client: list(client.extract_stream("trip", "When?")),
        lambda client: list(client.export("trip")),
    ],
)
def test_a_closed_client_says_so(server, call):
    with Client(server.address) as client:
        pass
    with pytest.raises(errors.ServerError, match="this client is closed"):
        call(client)


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.info(),
        lambda client: client.ingest("trip", TURNS),
        lambda client: anext(client.extract_stream("trip", "When?")),
        lambda client: anext(client.export("trip")),
    ],
)
async def test_a_closed_asyncio_client_says_so(server, call):
    async with AsyncClient(server.address) as client:
        pass
    with pytest.raises(errors.ServerError, match="this client is closed"):
        await call(client)


def test_a_starting_server_says_so():
    with (
        running(serve=False) as server,
        Client(server.address, timeout_s=10) as client,
        pytest.raises(errors.ServerUnavailable, match="starting"),
    ):
        client.extract("trip", "When?")


async def test_asyncio_client_does_the_same(server):
    async with AsyncClient(server.address, timeout_s=10) as client:
        assert (await client.ingest("trip", TURNS)).added == 3
        assert [turn async for turn in client.export("trip")] == TURNS
        assert [h.history for h in await client.histories()] == ["trip"]
        assert await client.extract("trip", "When?") == MEMORY
        assert await client.answer("trip", "When?") == ANSWER
        assert await client.info() == INFO
        events = [event async for event in client.extract_stream("trip", "When?")]
        assert events[-1] == MEMORY
        assert len(events) == 4
        assert (await client.delete_turns("trip", [TURNS[0].id])).turns == 1
        with pytest.raises(errors.InvalidInput, match="turn_ids: a list of ids is due"):
            await client.delete_turns("trip", "17")
        assert (await client.delete("trip")).turns == 2
        with pytest.raises(errors.NotFound):
            await client.delete("trip")
        assert (await client.delete_tenant()).histories == 0


async def test_cancelling_the_task_cancels_the_work(server):
    server.pipeline.takes_s = 60
    async with AsyncClient(server.address) as client:
        task = asyncio.create_task(client.extract("trip", "When?"))
        while not server.pipeline.requests:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert await asyncio.to_thread(server.pipeline.cancelled.wait, 5)


def test_servers_behind_one_name_take_turns():
    with running() as one, running() as other:
        name = f"ipv4:{one.address},{other.address}"
        with Client(name, timeout_s=10) as client:
            # Either is there after a while; until then the first one takes all calls.
            for _ in range(200):
                client.reload_routers("capacity")
                if one.engine.routers.asked and other.engine.routers.asked:
                    break
    assert one.engine.routers.asked
    assert other.engine.routers.asked
