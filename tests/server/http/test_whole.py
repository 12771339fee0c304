"""The whole way with scripted models: HTTP, gate, service, pipeline, store, and what is logged."""

from __future__ import annotations

import json
import logging

import pytest

pytest.importorskip("budgetmem._core", reason="the C++ core is not built")

from google.protobuf.json_format import Parse

from budgetmem.backbone import HashEncoder, ModelSet, ScriptedBackbone, ScriptedTagger
from budgetmem.client import Client, Tier
from budgetmem.proto.budgetmem.v1 import memory_pb2 as pb
from budgetmem.wire.results import decode_answer, decode_memory
from server.assembly import build_engine
from server.security.api_keys import ApiKeys
from server.security.security import guarded
from tests.server.http.house import open_house
from tests.server.security.test_logs import PROFILE, REPLIED, keys, logged, reply

__all__ = ["keys", "logged"]

pytestmark = pytest.mark.timeout(600)

SAID = ("zanzibar", "quokka", "speakerina")
ASKED = "yggdrasil"
TURNS = [
    {"id": "t1", "speaker": "speakerina", "text": "I went to zanzibar."},
    {"id": "t2", "speaker": "speakerina", "text": "A quokka plays."},
]
PATH = "/v1/histories/trip"


@pytest.fixture
def house(tmp_path, keys):
    models = ModelSet(
        {"all": ScriptedBackbone(reply)},
        HashEncoder(name=PROFILE.encoder.asset),
        ScriptedTagger(name=PROFILE.tagger.asset),
    )
    with open_house(security=guarded(ApiKeys(tmp_path / "keys.json")), serve=False) as house:

        async def serve():
            await house.grpc.doors.serve(build_engine(PROFILE, models, tmp_path))

        house.grpc.call(serve())
        yield house


@pytest.fixture(autouse=True)
def quiet_client(monkeypatch):
    """What the client logs is not the server's to keep secret."""
    for name in ("httpx", "httpcore"):
        monkeypatch.setattr(logging.getLogger(name), "propagate", False)


def test_http_and_grpc_say_the_same_and_log_nothing_of_it(house, keys, logged):
    writing, reading = keys
    headers = {"authorization": f"Bearer {writing}"}
    house.http.post(f"{PATH}:ingest", json={"turns": TURNS}, headers=headers)
    question = {"query": f"When did {ASKED} go?", "budget": {"tier": "TIER_HIGH"}}
    extracted = house.http.post(f"{PATH}:extract", json=question, headers=headers)
    answered = house.http.post(f"{PATH}:answer", json=question, headers=headers)
    streamed = house.http.post(
        f"{PATH}:extractStream",
        json=question,
        headers=headers | {"accept": "application/x-ndjson"},
    )
    with Client(house.grpc.address, api_key=writing, timeout_s=60) as client:
        memory = client.extract("trip", question["query"], tier=Tier.HIGH)
        answer = client.answer("trip", question["query"], tier=Tier.HIGH)
    told = decode_memory(Parse(extracted.content, pb.ExtractResponse()).memory)
    assert (told.text, told.findings, told.chunks) == (memory.text, memory.findings, memory.chunks)
    assert told.receipt.total.cost_usd == pytest.approx(memory.receipt.total.cost_usd)
    assert REPLIED in decode_answer(Parse(answered.content, pb.AnswerResponse())).text
    assert answer.text == decode_answer(Parse(answered.content, pb.AnswerResponse())).text
    names = [next(iter(json.loads(line))) for line in streamed.text.splitlines()]
    assert names == ["retrieved", *["moduleDone"] * 5, "memory"]

    bad = [
        house.http.post(f"{PATH}:extract", json={"quokka": ASKED}, headers=headers),
        house.http.post(f"{PATH}:extract", content=f"{ASKED}?".encode(), headers=headers),
        house.http.post(f"{PATH}:extract", json={"query": ASKED * 10_000}, headers=headers),
        house.http.post(
            f"{PATH}:ingest",
            json={"turns": TURNS},
            headers={"authorization": f"Bearer {reading}"},
        ),
        house.http.get("/v1/info", headers={"authorization": f"Bearer {writing}0"}),
    ]
    assert [each.status_code for each in bad] == [400, 415, 400, 403, 401]
    text = logged()
    assert "refused" in text, "nothing was logged at all"
    secrets = [each.rpartition("_")[2] for each in keys]
    assert [word for word in (*SAID, ASKED, REPLIED, *secrets) if word in text] == []
