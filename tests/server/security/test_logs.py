"""What is in the logs at their most talkative: neither keys nor anything that was said."""

from __future__ import annotations

import logging
from datetime import datetime, timezone

import pytest

pytest.importorskip("budgetmem._core", reason="the C++ core is not built")

from budgetmem.backbone import HashEncoder, ModelSet, ScriptedBackbone, ScriptedTagger
from budgetmem.client import Client, Tier, Turn
from budgetmem.config import load_profile
from budgetmem.errors import BackboneError, BudgetMemError, BudgetTooSmall
from budgetmem.types import Budget
from server.assembly import build_engine
from server.logs import configure
from server.security.api_keys import ApiKeys, new_key
from server.security.key_file import change_keys
from server.security.principal import Scope
from server.security.security import guarded
from tests.fakes import perfect
from tests.server.fake_engine import running

PROFILE = load_profile("tiny")
SAID = ("zanzibar", "quokka", "xylophone", "speakerina", "captionella", "labelette", "sessionova")
"""Words of the turns, and of nothing else."""

ASKED = "yggdrasil"
REPLIED = "papageno"
TURNS = [
    Turn("t1", "speakerina", "I went to zanzibar.", caption="captionella", session="sessionova"),
    Turn("t2", "speakerina", "A quokka plays the xylophone.", metadata={"k": "labelette"}),
]


def reply(prompt):
    if "breaks" in prompt:
        raise BackboneError("the model broke")
    return f"{perfect(prompt)} {REPLIED}"


@pytest.fixture
def logged(capfd):
    """All that was logged and printed, from the most talkative level on."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    configure("debug", as_json=False)
    yield lambda: "".join(capfd.readouterr())
    root.handlers[:] = handlers
    # Not the attribute alone: every logger remembers what it was that its root let through.
    root.setLevel(level)


@pytest.fixture
def keys(tmp_path):
    made = [
        new_key("acme", scopes, datetime.now(timezone.utc))
        for scopes in ([Scope.READ, Scope.WRITE], [Scope.READ])
    ]
    change_keys(tmp_path / "keys.json", lambda _: tuple(record for _, record in made))
    return [key for key, _ in made]


@pytest.fixture
def server(tmp_path, keys):
    models = ModelSet(
        {"all": ScriptedBackbone(reply)},
        HashEncoder(name=PROFILE.encoder.asset),
        ScriptedTagger(name=PROFILE.tagger.asset),
    )
    with running(serve=False, security=guarded(ApiKeys(tmp_path / "keys.json"))) as server:

        async def serve():
            engine = build_engine(PROFILE, models, tmp_path)
            await server.doors.serve(engine)

        server.call(serve())
        yield server


def attempt(call):
    """Whatever comes of it."""
    try:
        call()
    except BudgetMemError as exc:
        return exc
    return None


def test_neither_keys_nor_texts_are_logged(server, keys, logged):
    writing, reading = keys
    with (
        Client(server.address, api_key=writing, timeout_s=60) as client,
        Client(server.address, api_key=reading, timeout_s=60) as reader,
        Client(server.address, api_key=f"{writing}0", timeout_s=60) as stranger,
        Client(server.address, api_key=writing, tenant="globex", timeout_s=60) as impostor,
    ):
        client.ingest("trip", TURNS)
        for tier in Tier:
            client.extract("trip", f"When did {ASKED} go?", tier=tier)
            assert REPLIED in client.answer("trip", f"When did {ASKED} go?", tier=tier).text
        list(client.extract_stream("trip", f"{ASKED}?"))
        list(client.export("trip"))
        failed = [
            attempt(call)
            for call in (
                lambda: client.answer("trip", f"{ASKED} breaks?", tier=Tier.HIGH),
                lambda: client.answer("trip", f"{ASKED}?", budget=Budget(max_cost_usd=1e-12)),
                lambda: client.extract("trip", ASKED * 10_000),
                lambda: client.ingest("trip", [Turn("t1", "speakerina", "zanzibar again")]),
                lambda: client.ingest("trip", [Turn("t9", "speakerina", "quokka\0")]),
                lambda: reader.ingest("trip", TURNS),
                lambda: stranger.ingest("trip", TURNS),
                lambda: impostor.extract("trip", ASKED),
            )
        ]
        assert all(failed)
        assert {type(each) for each in failed} >= {BackboneError, BudgetTooSmall}
        client.delete("trip")
    text = logged()
    assert "refused" in text, "nothing was logged at all"
    secrets = [each.rpartition("_")[2] for each in keys]
    assert [word for word in (*SAID, ASKED, REPLIED, *secrets) if word in text] == []
