"""The gate before the real doors: who is let in, on whose behalf, and what the others are told."""

from __future__ import annotations

import logging
import threading

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from budgetmem.client import AsyncClient, Client, Turn
from budgetmem.errors import NotFound, PermissionDenied, Unauthenticated
from budgetmem.proto.budgetmem.v1 import memory_pb2 as pb
from budgetmem.proto.budgetmem.v1.memory_pb2_grpc import MemoryServiceStub
from server.security.gate import NO_CREDENTIAL, NOT_VALID
from server.security.principal import Principal, Scope
from server.security.security import Security, guarded
from server.security.tenants import ProvenTenants
from tests.server.fake_engine import running

TURNS = [Turn("t1", "Ana", "I booked")]
READ, WRITE, ADMIN = Scope


class Known:
    """Credentials by heart."""

    def __init__(self, **principals):
        self.principals = principals

    async def authenticate(self, credential):
        return self.principals.get(credential)


CALLERS = Known(
    ana=Principal("acme", frozenset({READ, WRITE}), "key 1"),
    ben=Principal("globex", frozenset({READ, WRITE}), "key 2"),
    reader=Principal("acme", frozenset({READ}), "key 3"),
    root=Principal("operations", frozenset({ADMIN}), "key 4"),
)


@pytest.fixture(scope="module")
def server():
    with running(security=guarded(Known(), CALLERS)) as started:
        yield started


@pytest.fixture
def client(server):
    """A client with a key, closed in the end."""
    opened = []

    def make(api_key=None, tenant=None):
        opened.append(Client(server.address, tenant=tenant, api_key=api_key, timeout_s=20))
        return opened[-1]

    yield make
    for each in opened:
        each.close()


def test_the_tenant_is_the_credentials(client):
    ana, ben = client("ana"), client("ben")
    assert ana.ingest("trip", TURNS).added == 1
    assert [found.history for found in ana.histories()] == ["trip"]
    assert ben.histories() == ()
    with pytest.raises(NotFound):
        list(ben.export("trip"))
    with pytest.raises(NotFound):
        ben.delete("trip")
    ana.extract("trip", "When?")
    assert ana.delete("trip").turns == 1


def test_the_pipeline_works_for_the_credentials_tenant(server, client):
    list(client("ben").extract_stream("trip", "When?"))
    client("ben").answer("trip", "When?")
    assert [request.tenant for request in server.pipeline.requests[-2:]] == ["globex"] * 2


@pytest.mark.parametrize("tenant", ["globex", "default", "ACME", "acme ", ""])
def test_naming_another_tenant_is_refused(client, tenant):
    with pytest.raises(PermissionDenied, match="budgetmem-tenant names another tenant"):
        client("ana", tenant).histories()


def test_naming_ones_own_tenant_is_harmless(client):
    client("ana", "acme").histories()


def test_naming_several_tenants_is_refused(server):
    with grpc.insecure_channel(server.address) as channel:
        headers = [("authorization", "Bearer ana")]
        headers += [("budgetmem-tenant", each) for each in ("globex", "acme")]
        with pytest.raises(grpc.RpcError) as caught:
            MemoryServiceStub(channel).ListHistories(
                pb.ListHistoriesRequest(), metadata=headers, timeout=20
            )
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED


def test_scopes(client):
    reader = client("reader")
    assert reader.info().profile == "fake"
    for refused in (
        lambda: reader.ingest("trip", TURNS),
        lambda: reader.delete("trip"),
        reader.reload_routers,
        client("ana").reload_routers,
    ):
        with pytest.raises(PermissionDenied, match="scope"):
            refused()
    root = client("root")
    assert root.reload_routers()
    for refused in (root.histories, root.info, lambda: root.ingest("trip", TURNS)):
        with pytest.raises(PermissionDenied, match="scope"):
            refused()


EVERY_CALL = (
    lambda c: c.ingest("trip", TURNS),
    lambda c: c.extract("trip", "When?"),
    lambda c: list(c.extract_stream("trip", "When?")),
    lambda c: c.answer("trip", "When?"),
    lambda c: c.histories(),
    lambda c: list(c.export("trip")),
    lambda c: c.delete("trip"),
    lambda c: c.info(),
    lambda c: c.reload_routers(),
)


@pytest.mark.parametrize("call", EVERY_CALL)
def test_no_call_goes_without_a_credential(server, client, call):
    before = len(server.pipeline.requests), len(server.routers.asked), dict(server.histories.kept)
    with pytest.raises(Unauthenticated) as caught:
        call(client())
    assert str(caught.value) == NO_CREDENTIAL
    with pytest.raises(Unauthenticated) as caught:
        call(client("nobody"))
    assert str(caught.value) == NOT_VALID
    after = len(server.pipeline.requests), len(server.routers.asked), dict(server.histories.kept)
    assert after == before


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ([], NO_CREDENTIAL),
        (["ana"], NOT_VALID),
        (["Bearer"], NOT_VALID),
        (["Bearer "], NOT_VALID),
        (["Basic ana"], NOT_VALID),
        (["Bearer  ana"], NOT_VALID),
        (["Bearer ana extra"], NOT_VALID),
        (["Bearer ana", "Bearer ben"], NOT_VALID),
        (["Bearer ana", "Bearer ana"], NOT_VALID),
        (["bearer ana"], None),
        (["BEARER ana"], None),
    ],
)
def test_forms_of_the_header(server, headers, message):
    with grpc.insecure_channel(server.address) as channel:

        def call():
            return MemoryServiceStub(channel).GetInfo(
                pb.GetInfoRequest(),
                metadata=[("authorization", value) for value in headers],
                timeout=20,
            )

        if message is None:
            assert call().profile == "fake"
            return
        with pytest.raises(grpc.RpcError) as caught:
            call()
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert caught.value.details() == message


def test_a_refusal_does_not_wait_for_the_message(server):
    """So that strangers cannot make the server read 16 MiB each."""
    answered = threading.Event()

    def message():
        answered.wait(20)
        yield b""

    with grpc.insecure_channel(server.address) as channel:
        call = channel.stream_unary("/budgetmem.v1.MemoryService/Ingest").future(message())
        code = call.exception(20).code()
        answered.set()
    assert code is grpc.StatusCode.UNAUTHENTICATED


def test_a_large_message_of_a_stranger_is_refused_like_any_other(client):
    with pytest.raises(Unauthenticated):
        client("nobody").ingest("trip", [Turn("t", "Ana", "x" * 8_000_000)])


def test_a_method_that_nobody_made_is_not_told_from_one_that_is_refused(server, client):
    for credential, code in (
        (None, grpc.StatusCode.UNAUTHENTICATED),
        ("ana", grpc.StatusCode.PERMISSION_DENIED),
    ):
        headers = [] if credential is None else [("authorization", f"Bearer {credential}")]
        with grpc.insecure_channel(server.address) as channel:
            call = channel.unary_unary("/budgetmem.v1.MemoryService/DropEverything")
            with pytest.raises(grpc.RpcError) as caught:
                call(b"", metadata=headers, timeout=20)
        assert caught.value.code() is code


async def test_the_asyncio_client_sends_its_credential_too(server):
    async with AsyncClient(server.address, api_key=lambda: "reader", timeout_s=20) as client:
        assert (await client.info()).profile == "fake"
        with pytest.raises(PermissionDenied):
            await client.ingest("trip", TURNS)
        assert [event async for event in client.extract_stream("trip", "When?")]


def test_health_is_open_and_reflection_is_not_there(server):
    with grpc.insecure_channel(server.address) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        status = health.Check(health_pb2.HealthCheckRequest(), timeout=20).status
        assert status == health_pb2.HealthCheckResponse.SERVING
        with pytest.raises(grpc.RpcError) as caught:
            list(reflected(channel))
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def reflected(channel):
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    requests = iter([reflection_pb2.ServerReflectionRequest(list_services="")])
    return stub.ServerReflectionInfo(requests, timeout=20)


def test_reflection_may_be_asked_for():
    with (
        running(security=guarded(CALLERS, reflection=True)) as server,
        grpc.insecure_channel(server.address) as channel,
    ):
        assert list(reflected(channel))


def test_without_a_gate_proven_tenants_let_nobody_in():
    """If the gate were ever left out, no header could take its place."""
    security = Security(tenants=ProvenTenants())
    with running(security=security) as server:
        for options in ({}, {"api_key": "ana"}, {"tenant": "acme"}):
            with (
                Client(server.address, timeout_s=20, **options) as client,
                pytest.raises(Unauthenticated),
            ):
                client.histories()


def test_callers_do_not_carry_over_from_call_to_call(server):
    """On one connection, side by side: each call is its own credential's."""
    start = len(server.pipeline.requests)
    with grpc.insecure_channel(server.address) as channel:
        stub = MemoryServiceStub(channel)
        calls = [
            stub.Extract.future(
                pb.ExtractRequest(history=name, query="When?"),
                metadata=[("authorization", f"Bearer {name}")],
            )
            for name in ["ana", "ben", "reader"] * 20
        ]
        for call in calls:
            call.result(20)
    worked = [(request.history, request.tenant) for request in server.pipeline.requests[start:]]
    assert len(worked) == 60
    assert set(worked) == {("ana", "acme"), ("ben", "globex"), ("reader", "acme")}


def test_refusals_are_logged_without_the_credential(client, caplog):
    with caplog.at_level(logging.DEBUG):
        with pytest.raises(Unauthenticated):
            client("very-secret").info()
        with pytest.raises(PermissionDenied):
            client("reader").delete("trip")
    assert "refused '/budgetmem.v1.MemoryService/GetInfo'" in caplog.text
    assert "'write'" in caplog.text
    assert "very-secret" not in caplog.text
