"""The limits of a request, at the doors: at the bound, below it, above it."""

from __future__ import annotations

from dataclasses import fields

import grpc
import pytest
import typer
from typer.testing import CliRunner

from budgetmem.backbone import HashEncoder, ModelSet, ScriptedTagger
from budgetmem.client import Client, Turn
from budgetmem.client.calls import batches
from budgetmem.commands.grouped import grouped
from budgetmem.errors import HistoryFull, InvalidInput
from budgetmem.info import Limits
from budgetmem.proto.budgetmem.v1 import memory_pb2 as pb
from budgetmem.proto.budgetmem.v1.memory_pb2_grpc import MemoryServiceStub
from server.assembly import build_engine
from server.connections import CONNECTIONS
from server.room import CallLimits
from server.security.limit_options import MAX_TURN_BYTES, LimitOptions
from tests.fakes import scripted
from tests.server.fake_engine import running
from tests.server.test_assembly import PROFILE

LIMITS = Limits(message_bytes=4096, query_bytes=10, turn_bytes=20, name_bytes=8)


@pytest.fixture(scope="module")
def client():
    with running(limits=LIMITS) as server, Client(server.address, timeout_s=20) as client:
        yield client


def turn(**more):
    return Turn(**{"id": "t", "speaker": "Ana", "text": "x", **more})


CALLS = {
    "query": (lambda client, text: client.extract("h", text), 10),
    "extract.query": (lambda client, text: client.answer("h", text), 10),
    "turns[0].text": (lambda client, text: client.ingest("h", [turn(text=text)]), 20),
    "turns[0].id": (lambda client, text: client.ingest("h", [turn(id=text)]), 8),
    "turns[0].speaker": (lambda client, text: client.ingest("h", [turn(speaker=text)]), 8),
    "turns[0].session": (lambda client, text: client.ingest("h", [turn(session=text)]), 8),
    "history": (lambda client, text: client.ingest(text, [turn()]), 8),
}


@pytest.mark.parametrize("field", CALLS)
def test_a_text_below_at_and_above_its_limit(client, field):
    call, limit = CALLS[field]
    call(client, "x" * (limit - 1))
    call(client, "y" * limit)
    call(client, "ü" * (limit // 2))
    for above in ("x" * (limit + 1), "ü" * (limit // 2) + "x"):
        with pytest.raises(InvalidInput, match=f"the limit is {limit} bytes") as caught:
            call(client, above)
        assert caught.value.field == field


def test_a_message_at_and_above_its_limit(client):
    # A label of a turn has no limit of its own at the doors.
    def message(size):
        return [turn(id=f"m{size}", metadata={"k": "x" * size})]

    client.ingest("h", message(3500))
    with pytest.raises(InvalidInput, match="larger than max") as caught:
        client.ingest("h", message(4096))
    assert caught.value.field == "message"


def test_a_message_of_exactly_the_limit_passes(client):
    def size(label):
        [(_, request)] = batches("h", [turn(id="exact", metadata={"k": "x" * label})])
        return request.ByteSize()

    label = 4096 - size(3900) + 3900
    assert size(label) == 4096
    client.ingest("h", [turn(id="exact", metadata={"k": "x" * label})])
    with pytest.raises(InvalidInput, match="larger than max"):
        client.ingest("h", [turn(id="exact", metadata={"k": "x" * (label + 1)})])


def test_a_message_of_too_many_turns_is_refused_and_one_of_as_many_is_not():
    with running(limits=Limits(message_turns=300)) as server:
        call = MemoryServiceStub(grpc.insecure_channel(server.address))

        def ingest(count):
            turns = [pb.Turn(id=f"{n}", speaker="Ana", text="x") for n in range(count)]
            return call.Ingest(pb.IngestRequest(history="h", turns=turns), timeout=20)

        assert ingest(300).added == 300
        with pytest.raises(grpc.RpcError, match="300 are the most of one message") as caught:
            ingest(301)
        assert dict(caught.value.trailing_metadata())["budgetmem-field"] == "turns"
        gone = pb.DeleteTurnsRequest(history="h", turn_ids=[f"{n}" for n in range(301)])
        with pytest.raises(grpc.RpcError, match="300 are the most of one message") as caught:
            call.DeleteTurns(gone, timeout=20)
        assert dict(caught.value.trailing_metadata())["budgetmem-field"] == "turn_ids"


def test_a_full_history_is_an_error_that_names_the_turns(tmp_path):
    models = ModelSet(scripted(), HashEncoder(), ScriptedTagger())
    engine = build_engine(PROFILE, models, tmp_path, limits=Limits(history_turns=2))
    with running(serve=False) as server:
        server.call(server.doors.serve(engine))
        with Client(server.address, timeout_s=20) as client:
            client.ingest("h", [turn(id="1"), turn(id="2")])
            with pytest.raises(HistoryFull, match="2 are the most") as caught:
                client.ingest("h", [turn(id="3")])
            assert caught.value.field == "turns"
            assert client.info().limits.history_turns == 2


def test_options_are_the_limits_and_their_defaults_too():
    assert LimitOptions().limits == Limits()
    assert LimitOptions().call_limits == CallLimits()
    assert LimitOptions().max_connections == CONNECTIONS
    of_calls = {f"max_{of}{what}calls" for of in ("", "tenant_") for what in ("", "store_")}
    assert {f"max_{f.name}" for f in fields(Limits)} - {"max_name_bytes"} == {
        f.name for f in fields(LimitOptions)
    } - of_calls - {"max_connections"}


@pytest.fixture
def run():
    """Runs a command with the options, and gives the limits that they come to."""
    found = []

    @grouped
    def command(limits: LimitOptions) -> None:
        found.append(limits.limits)

    def invoke(*arguments):
        app = typer.Typer()
        app.command()(command)
        result = CliRunner().invoke(app, list(arguments))
        return found.pop() if result.exit_code == 0 else result.exit_code

    return invoke


def test_options_reach_the_limits(run):
    assert run(
        *("--max-message-bytes", "2048", "--max-query-bytes", "100", "--max-turn-bytes", "200"),
        *("--max-history-turns", "300", "--max-history-bytes", "400"),
        *("--max-message-turns", "500"),
    ) == Limits(2048, 100, 200, 256, 300, 400, 500)


@pytest.mark.parametrize(
    ("option", "lowest", "highest"),
    [
        ("--max-message-bytes", 1024, None),
        ("--max-query-bytes", 1, 32768),
        ("--max-turn-bytes", 1, MAX_TURN_BYTES),
        ("--max-history-turns", 1, None),
        ("--max-history-bytes", 1, None),
        # Our own clients send so many.
        ("--max-message-turns", 256, None),
    ],
)
def test_options_have_bounds(run, option, lowest, highest):
    assert isinstance(run(option, str(lowest)), Limits)
    assert run(option, str(lowest - 1)) == 2
    if highest is not None:
        assert isinstance(run(option, str(highest)), Limits)
        assert run(option, str(highest + 1)) == 2
