"""Requests over a real socket, as any HTTP client makes them."""

from __future__ import annotations

import json
import socket
import time

import httpx
import pytest
from jsonschema import Draft202012Validator

from budgetmem.client import Client
from budgetmem.errors import (
    BackboneUnavailable,
    BudgetTooSmall,
    Conflict,
    HistoryFull,
    Overloaded,
    StoreDamaged,
)
from budgetmem.info import Limits
from server.http.endpoint import Bounds
from server.http.openapi import OUT
from server.http.routes import ROUTES
from server.security.security import guarded
from tests.server.http.house import open_house
from tests.server.security.test_gate import CALLERS

pytestmark = pytest.mark.timeout(600)

TURNS = [
    {"id": "t1", "speaker": "Ana", "text": "I booked", "metadata": {"mood": "glad"}},
    {"id": "t2", "speaker": "Bo", "text": "Où ça ?", "time": "2023-05-08T13:56:00+02:00"},
]
DOCUMENT = json.loads(OUT.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def house():
    with open_house() as opened:
        yield opened


@pytest.fixture(autouse=True)
def afresh(house):
    pipeline, histories = house.grpc.pipeline, house.grpc.histories
    pipeline.failure, histories.failure, pipeline.takes_s = None, None, 0.0
    pipeline.cancelled.clear()
    pipeline.requests.clear()
    histories.kept.clear()


def ingest(house, name="trip"):
    response = house.http.post(f"/v1/histories/{name}:ingest", json={"turns": TURNS})
    assert response.status_code == 200, response.text
    return response


def conforms(response, rpc):
    """The JSON of a response, which the document has promised."""
    assert response.status_code == 200, response.text
    [route] = [each for each in ROUTES if each.rpc == rpc]
    schema = {
        "$ref": f"#/components/schemas/{route.method.output_type.name}",
        "components": DOCUMENT["components"],
    }
    found = response.json()
    Draft202012Validator(schema).validate(found)
    return found


def events(response):
    """Names and data of server-sent events."""
    blocks = response.text.strip().split("\n\n")
    split = [dict(line.split(": ", 1) for line in block.split("\n")) for block in blocks]
    return [(each["event"], json.loads(each["data"])) for each in split]


def test_from_ingest_to_proof_of_deletion(house):
    assert conforms(ingest(house), "Ingest")["added"] == 2
    [listed] = conforms(house.http.get("/v1/histories"), "ListHistories")["histories"]
    assert (listed["name"], listed["turns"]) == ("trip", "2")
    memory = conforms(
        house.http.post(
            "/v1/histories/trip:extract",
            json={
                "query": "When?",
                "strategy": "capacity",
                "budget": {"tiers": {"filter": "TIER_LOW"}, "maxCostUsd": 0.5},
                "retrieval": {"maxTokens": 100},
            },
        ),
        "Extract",
    )["memory"]
    assert memory["text"] == "Ana booked in May."
    [asked] = house.grpc.pipeline.requests
    assert (asked.history, asked.query, asked.strategy) == ("trip", "When?", "capacity")
    assert (asked.budget.max_cost_usd, asked.max_tokens, asked.tenant) == (0.5, 100, "default")
    answer = house.http.post("/v1/histories/trip:answer", json={"query": "When?"})
    assert conforms(answer, "Answer")["text"] == "In May."
    gone = house.http.post("/v1/histories/trip:deleteTurns", json={"turnIds": ["t1"]})
    assert conforms(gone, "DeleteTurns")["turns"] == "1"
    proof = conforms(house.http.delete("/v1/histories/trip"), "DeleteHistory")
    assert (proof["turns"], proof["remaining"]) == ("1", "0")
    ingest(house)
    assert conforms(house.http.delete("/v1/tenant"), "DeleteTenant")["histories"] == "1"
    assert conforms(house.http.get("/v1/info"), "GetInfo")["profile"] == "fake"
    reloaded = house.http.post("/v1/routers:reload", json={"strategy": "capacity"})
    assert conforms(reloaded, "ReloadRouters")["routers"][0]["strategy"] == "capacity"
    told = conforms(house.http.get("/v1/info"), "GetInfo")
    assert told["frontiers"]["capacity"]["questions"] == 40
    assert conforms(house.http.get("/v1/metrics"), "GetMetrics")["samples"][0]["value"] == 3


def test_a_stream_comes_as_server_sent_events(house):
    response = house.http.post("/v1/histories/trip:extractStream", json={"query": "When?"})
    assert response.headers["content-type"] == "text/event-stream"
    told = events(response)
    assert [name for name, _ in told] == ["retrieved", "moduleDone", "moduleDone", "memory"]
    assert told[-1][1]["memory"]["text"] == "Ana booked in May."


@pytest.mark.parametrize(
    "accept", ["application/x-ndjson", "text/html, application/x-ndjson;q=0.9, */*;q=0.1"]
)
def test_or_as_a_line_each(house, accept):
    ingest(house)
    response = house.http.get("/v1/histories/trip/turns", headers={"accept": accept})
    assert response.headers["content-type"] == "application/x-ndjson"
    turns = [json.loads(line)["turn"] for line in response.text.splitlines()]
    assert [turn["text"] for turn in turns] == ["I booked", "Où ça ?"]
    assert turns[0]["metadata"] == {"mood": "glad"}


def test_events_come_while_the_work_goes_on(house):
    house.grpc.pipeline.takes_s = 60
    with house.http.stream("POST", "/v1/histories/h:extractStream", json={"query": "q"}) as stream:
        lines = stream.iter_lines()
        assert next(lines) == "event: retrieved"
    assert house.grpc.pipeline.cancelled.wait(20)


def test_whoever_leaves_stops_the_work(house):
    """Within 200 ms: the best of several times counts, for the machine may be busy."""
    house.grpc.pipeline.takes_s = 60
    assert any(seconds_to_notice(house) < 0.2 for _ in range(20))


def seconds_to_notice(house):
    pipeline, url = house.grpc.pipeline, httpx.URL(house.url)
    pipeline.requests.clear()
    pipeline.cancelled.clear()
    with socket.create_connection((url.host, url.port), 60) as plain:
        plain.sendall(
            b"POST /v1/histories/h:extract HTTP/1.1\r\nhost: localhost\r\n"
            b'content-type: application/json\r\ncontent-length: 14\r\n\r\n{"query": "q"}'
        )
        while not pipeline.requests:
            time.sleep(0.005)
    begin = time.monotonic()
    assert pipeline.cancelled.wait(20)
    return time.monotonic() - begin


def test_a_deadline_ends_the_work(house):
    house.grpc.pipeline.takes_s = 60
    response = house.http.post(
        "/v1/histories/h:extract", json={"query": "q"}, headers={"grpc-timeout": "700m"}
    )
    assert response.status_code == 504
    assert response.json()["error"]["status"] == "DEADLINE_EXCEEDED"
    assert house.grpc.pipeline.cancelled.wait(20)


def test_the_deadline_is_the_pipelines(house):
    before = time.monotonic()
    house.http.post("/v1/histories/h:extract", json={"query": "q"}, headers={"grpc-timeout": "5M"})
    house.http.post("/v1/histories/h:extract", json={"query": "q"})
    timed, untimed = house.grpc.pipeline.requests
    assert before + 200 < timed.deadline < time.monotonic() + 310
    assert untimed.deadline is None


@pytest.mark.parametrize("timeout", ["30", "30s", "S", "-1S", "1.5S", "123456789S", ""])
def test_a_malformed_deadline_is_refused(house, timeout):
    response = house.http.get("/v1/info", headers={"grpc-timeout": timeout})
    assert response.status_code == 400
    assert violation(response)["field"] == "grpc-timeout"


def violation(response):
    [bad] = [each for each in response.json()["error"]["details"] if "fieldViolations" in each]
    return bad["fieldViolations"][0]


@pytest.mark.parametrize(
    ("failure", "status", "name", "retry"),
    [
        (Overloaded("too much waits", 1500), 429, "RESOURCE_EXHAUSTED", "2"),
        (HistoryFull("turns", "too many"), 429, "RESOURCE_EXHAUSTED", None),
        (BudgetTooSmall("no room"), 400, "FAILED_PRECONDITION", None),
        (Conflict("another was first"), 409, "ABORTED", None),
        (StoreDamaged("the file of history 'h' is damaged"), 500, "DATA_LOSS", None),
        (BackboneUnavailable("away"), 503, "UNAVAILABLE", None),
        (RuntimeError("a bug"), 500, "UNKNOWN", None),
    ],
)
def test_failures_have_the_status_that_fits(house, failure, status, name, retry):
    house.grpc.pipeline.failure = failure
    response = house.http.post("/v1/histories/h:extract", json={"query": "q"})
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["status"]) == (status, status, name)
    assert response.headers.get("retry-after") == retry
    assert response.headers["x-request-id"]


def test_a_stream_that_fails_ends_with_the_error(house):
    house.grpc.pipeline.failure = BackboneUnavailable("away")
    told = events(house.http.post("/v1/histories/h:extractStream", json={"query": "q"}))
    assert [name for name, _ in told] == ["retrieved", "moduleDone", "moduleDone", "error"]
    assert told[-1][1]["error"]["status"] == "UNAVAILABLE"
    assert told[-1][1]["error"]["message"] == "away"


def test_a_stream_that_fails_at_once_has_the_status(house):
    response = house.http.get("/v1/histories/none/turns")
    assert (response.status_code, response.headers["content-type"]) == (404, "application/json")
    assert response.json()["error"]["details"][0]["reason"] == "NOT_FOUND"


@pytest.mark.parametrize(
    ("body", "field", "words"),
    [
        (b"", "body", "is not the JSON of ExtractRequest"),
        (b"{", "body", "is not the JSON of ExtractRequest"),
        (b"[]", "body", "is not the JSON of ExtractRequest"),
        (b"\xff", "body", "is not the JSON of ExtractRequest"),
        (b"[" * 100_000, "body", "is not the JSON of ExtractRequest"),
        (b'{"query": "\\ud800"}', "body", "is not the JSON of ExtractRequest"),
        (b'{"queri": "q"}', "body", "queri"),
        (b'{"query": "q", "budget": {"tier": "TIER_TOP"}}', "body", "TIER_TOP"),
        (b'{"query": "q", "query": "r"}', "body", "query"),
        (b'{"query": "q", "history": "other"}', "history", "another than the path"),
        (b"{}", "query", "must not be empty"),
        (b'{"query": "q", "budget": {"maxCostUsd": -1}}', "budget.max_cost_usd", "finite"),
    ],
)
def test_bad_bodies_are_told_by_their_field(house, body, field, words):
    headers = {"content-type": "application/json; charset=utf-8"}
    response = house.http.post("/v1/histories/h:extract", content=body, headers=headers)
    assert response.status_code == 400, response.text
    assert violation(response)["field"] == field
    assert words in violation(response)["description"]
    assert house.grpc.pipeline.requests == []


@pytest.mark.parametrize(
    ("rpc", "body"),
    [
        ("Ingest", {}),
        ("Ingest", {"turns": []}),
        ("Ingest", {"turns": [{"id": "t1", "speaker": "Ana", "text": ""}]}),
        ("Extract", {"query": ""}),
        ("Answer", {}),
        ("DeleteTurns", {}),
        ("DeleteTurns", {"turnIds": []}),
    ],
)
def test_the_document_forbids_what_is_refused_as_empty(house, rpc, body):
    [route] = [each for each in ROUTES if each.rpc == rpc]
    response = house.http.post(route.path.format(history="h"), json=body)
    assert violation(response)["description"] == "must not be empty"
    asked = DOCUMENT["paths"][route.path]["post"]["requestBody"]["content"]["application/json"]
    schema = asked["schema"] | {"components": DOCUMENT["components"]}
    assert not Draft202012Validator(schema).is_valid(body)


@pytest.mark.parametrize("given", [None, "text/plain", "application/x-www-form-urlencoded"])
def test_a_body_must_say_that_it_is_json(house, given):
    """So no page can send one from its reader's browser without asking first."""
    headers = {} if given is None else {"content-type": given}
    response = house.http.post(
        "/v1/histories/h:extract", content=b'{"query": "q"}', headers=headers
    )
    assert response.status_code == 415
    assert house.grpc.pipeline.requests == []


@pytest.mark.parametrize(
    ("verb", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/v1/histories/", 405),
        ("DELETE", "/v1/histories", 405),
        ("DELETE", "/v1/histories/", 400),
        ("GET", "/v1/histories/h", 405),
        ("PUT", "/v1/tenant", 405),
    ],
)
def test_what_is_no_route_is_an_error_like_the_others(house, verb, path, status):
    ingest(house)
    response = house.http.request(verb, path)
    assert (response.status_code, response.json()["error"]["code"]) == (status, status)
    assert house.grpc.histories.kept


@pytest.mark.parametrize(
    "name",
    [
        *(
            "a/b",
            "a%2Fb",
            "x:extract",
            "q?x=1#y",
            "naïve 🙂",
            "a b+c",
            "turns",
            "..:..",
            "/x/turns",
        ),
        *("x\n", "\nx", "a\nb", "x\r\n", "x\u2028"),
    ],
)
def test_any_name_of_a_history_fits_into_a_path(house, name):
    quoted = "".join(f"%{byte:02X}" for byte in name.encode())
    ingest(house, quoted)
    assert list(house.grpc.histories.kept) == [("default", name)]
    response = house.http.get(f"/v1/histories/{quoted}/turns")
    assert len(events(response)) == 2
    assert house.http.delete(f"/v1/histories/{quoted}").status_code == 200


def test_a_line_break_at_the_end_of_a_name_is_part_of_it(house):
    ingest(house, "x")
    assert house.http.delete("/v1/histories/x%0A").status_code == 404
    ingest(house, "x%0A")
    assert house.http.delete("/v1/histories/x%0A").json()["turns"] == "2"
    assert list(house.grpc.histories.kept) == [("default", "x")]


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("POST", "/v1/histories/x:ingest%0A"),
        ("POST", "/v1/histories/x:deleteTurns%0A"),
        ("GET", "/v1/histories/x/turns%0A"),
        ("DELETE", "/v1/tenant%0A"),
        ("GET", "/v1/histories%0A"),
    ],
)
def test_a_line_break_after_a_method_leads_to_no_other(house, verb, path):
    ingest(house, "x")
    body = {"json": {"turnIds": ["t1"]}} if verb == "POST" else {}
    assert house.http.request(verb, path, **body).status_code in {404, 405}
    assert {key: len(turns) for key, turns in house.grpc.histories.kept.items()} == {
        ("default", "x"): 2
    }


def test_a_request_keeps_its_id(house):
    given = house.http.get("/v1/info", headers={"x-request-id": "mine-1"})
    assert given.headers["x-request-id"] == "mine-1"
    made = house.http.get("/v1/nothing", headers={"x-request-id": "no good id"})
    assert len(made.headers["x-request-id"]) == 32


def test_nothing_may_be_kept_on_the_way(house):
    headers = house.http.get("/v1/info").headers
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"


def test_a_header_that_grpc_cannot_carry_is_refused(house):
    response = house.http.get("/v1/histories", headers={"budgetmem-tenant": "käse".encode()})
    assert response.status_code == 400
    assert violation(response)["field"] == "budgetmem-tenant"


def test_without_credentials_a_header_says_the_tenant(house):
    headers = {"budgetmem-tenant": "acme"}
    house.http.post("/v1/histories/h:ingest", json={"turns": TURNS}, headers=headers)
    assert list(house.grpc.histories.kept) == [("acme", "h")]
    with Client(house.grpc.address, tenant="acme", timeout_s=20) as client:
        assert [found.history for found in client.histories()] == ["h"]


def test_a_body_that_is_too_large_is_refused_unread():
    with open_house(limits=Limits(message_bytes=2048)) as small:
        body = json.dumps({"query": "q" * 4096}).encode()
        headers = {"content-type": "application/json"}
        response = small.http.post("/v1/histories/h:extract", content=body, headers=headers)
        assert response.status_code == 413
        assert response.json()["error"]["status"] == "INVALID_ARGUMENT"


def test_a_large_body_is_read_whole(house):
    turns = [{"id": f"t{i}", "speaker": "Ana", "text": "x" * 1000} for i in range(1000)]
    response = house.http.post("/v1/histories/h:ingest", json={"turns": turns})
    assert response.json()["added"] == 1000


@pytest.mark.parametrize(
    ("accept", "sign", "end"),
    [
        ("text/event-stream", "\n\n: still there\n\n", "event: memory"),
        ("application/x-ndjson", "\n\n", '{"memory":'),
    ],
)
def test_a_silent_stream_gives_signs_of_life(accept, sign, end):
    with open_house(bounds=Bounds(heartbeat_s=0.05)) as lively:
        lively.grpc.pipeline.takes_s = 0.5
        asked = {"json": {"query": "q"}, "headers": {"accept": accept}}
        text = lively.http.post("/v1/histories/h:extractStream", **asked).text
    assert sign in text
    assert text.index(sign) < text.index(end)


def test_signs_of_life_among_lines_are_no_messages():
    with open_house(bounds=Bounds(heartbeat_s=0.05)) as lively:
        lively.grpc.pipeline.takes_s = 0.5
        asked = {"json": {"query": "q"}, "headers": {"accept": "application/x-ndjson"}}
        lines = lively.http.post("/v1/histories/h:extractStream", **asked).text.splitlines()
    assert "" in lines
    told = [json.loads(line) for line in lines if line]
    assert [next(iter(message)) for message in told][-1] == "memory"


def in_the_document(health):
    """What health says, with a status and of a form that the document has promised."""
    promised = DOCUMENT["paths"]["/healthz"]["get"]["responses"][str(health.status_code)]
    found = health.json()
    Draft202012Validator(promised["content"]["application/json"]["schema"]).validate(found)
    return found


def test_a_server_that_is_starting_says_so():
    with open_house(serve=False) as starting:
        assert in_the_document(starting.http.get("/healthz")) == {"status": "NOT_SERVING"}
        response = starting.http.get("/v1/info")
        assert response.status_code == 503
        assert "starting" in response.json()["error"]["message"]
        starting.grpc.call(starting.grpc.doors.serve(starting.grpc.engine))
        assert in_the_document(starting.http.get("/healthz")) == {"status": "SERVING"}
        assert starting.http.get("/v1/info").status_code == 200


@pytest.fixture(scope="module")
def locked():
    with open_house(security=guarded(CALLERS)) as opened:
        yield opened


def bearer(name):
    return {"authorization": f"Bearer {name}"}


def test_the_credential_says_the_tenant(locked):
    locked.http.post("/v1/histories/h:extract", json={"query": "q"}, headers=bearer("ben"))
    assert locked.grpc.pipeline.requests[-1].tenant == "globex"
    named = bearer("ben") | {"budgetmem-tenant": "acme"}
    assert locked.http.get("/v1/histories", headers=named).status_code == 403


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.rpc)
def test_no_route_goes_without_a_credential(locked, route):
    before = len(locked.grpc.pipeline.requests)
    path = route.path.replace("{history}", "h")
    body = None if route.body is None else {}
    for headers in ({}, bearer("nobody"), {"authorization": "Basic ana"}):
        response = locked.http.request(route.verb, path, json=body, headers=headers)
        assert response.status_code == 401
        assert response.headers["www-authenticate"] == "Bearer"
    assert len(locked.grpc.pipeline.requests) == before


def test_scopes_are_those_of_grpc(locked):
    ingested = {"json": {"turns": TURNS}, "headers": bearer("reader")}
    assert locked.http.post("/v1/histories/h:ingest", **ingested).status_code == 403
    reload = {"json": {}, "headers": bearer("root")}
    assert locked.http.post("/v1/routers:reload", **reload).status_code == 200
    assert locked.http.get("/v1/histories", headers=bearer("root")).status_code == 403


def test_two_credentials_are_none(locked):
    headers = [("authorization", "Bearer ana"), ("authorization", "Bearer ben")]
    assert locked.http.get("/v1/info", headers=headers).status_code == 401


def test_a_stranger_is_refused_before_the_body_is_read(locked):
    url = httpx.URL(locked.url)
    with socket.create_connection((url.host, url.port), 60) as plain:
        plain.sendall(
            b"POST /v1/histories/h:ingest HTTP/1.1\r\nhost: localhost\r\n"
            b"content-type: application/json\r\ncontent-length: 1000000\r\n\r\n{"
        )
        assert plain.recv(1000).startswith(b"HTTP/1.1 401 ")


def test_health_and_the_document_are_open(locked):
    assert locked.http.get("/healthz").status_code == 200
    assert locked.http.get("/openapi.json").json() == DOCUMENT
