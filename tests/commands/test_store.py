"""`budgetmem store`: what it prints, and what it is told."""

from __future__ import annotations

import asyncio
import json

import pytest
from typer.testing import CliRunner

from budgetmem import cli
from budgetmem.backbone import HashEncoder
from budgetmem.config import load_profile
from budgetmem.errors import AssetError, ConfigError
from budgetmem.history import Histories
from budgetmem.local_encoder import local_encoder
from budgetmem.store.opening import opened
from budgetmem.types import Turn
from tests.store.making import SETTINGS, change


@pytest.fixture
def filled(tmp_path):
    place = str(tmp_path / "here")
    with opened(place) as store:
        store.write("ana", "trip", None, SETTINGS, [change("a", ["x", "y"])])
        store.write("ben", "home", None, SETTINGS, [change("a", ["z"])])
    return place


def run(*arguments):
    return CliRunner().invoke(cli.app, ["store", *arguments])


def test_a_copy_says_an_object_a_history(filled, tmp_path):
    there = str(tmp_path / "there")
    result = run("copy", "--from", filled, "--to", there, "--json")
    assert result.exit_code == 0, result.output
    told = [json.loads(line) for line in result.stdout.splitlines()]
    assert told == [
        {"tenant": "ana", "history": "trip", "status": "copied", "turns": 2, "chunks": 2},
        {"tenant": "ben", "history": "home", "status": "copied", "turns": 1, "chunks": 1},
    ]
    again = run("copy", "--from", filled, "--to", there, "--tenant", "ana")
    assert again.stdout == "0 histories copied, 1 were there; 2 turns and 2 chunks compared\n"


def test_a_history_that_cannot_be_copied_is_named_and_the_others_are_copied(filled, tmp_path):
    there = str(tmp_path / "there")
    with opened(filled) as store:
        store.write("ana", "diary", None, SETTINGS, [change("a", ["x"])])
    with opened(there) as store:
        store.write("ana", "trip", None, SETTINGS, [change("a", ["mine"])])
    (tmp_path / "here" / "ana" / "diary.db").write_bytes(b"noise" * 1000)
    arguments = ("copy", "--from", filled, "--to", there)
    result = run(*arguments, "--json")
    assert [each.get("status") for each in told(result)] == ["damaged", "conflict", "copied", None]
    assert told(result)[-1]["error"]["code"] == "STORE_DAMAGED"
    assert result.exit_code == 1
    again = run(*arguments)
    assert again.stdout == "0 histories copied, 1 were there; 1 turns and 1 chunks compared\n"
    assert "'diary' of tenant 'ana' (its file is damaged); 'trip' of tenant 'ana'" in again.stderr
    alone = run(*arguments, "--history", "trip")
    assert alone.exit_code == 1
    assert "hint: delete it there, or wait" in alone.stderr


@pytest.fixture
def encoder(monkeypatch):
    fake = HashEncoder(name="minilm-l6-v2", dimension=384)
    monkeypatch.setattr("budgetmem.local_encoder.local_encoder", lambda profile: fake)
    return fake


def told(result):
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_histories_are_made_anew_as_a_profile_makes_them(filled, encoder):
    def refusal(history):
        with pytest.raises(ConfigError, match="budgetmem store reindex"):
            asyncio.run(histories.ingest("ana", history, [Turn("new", "Ana", "hello")]))

    with opened(filled) as store:
        histories = Histories(store, encoder, load_profile("tiny").retrieval)
        refusal("trip")
        before = list(store.turns("ana", "trip"))
        result = run("reindex", "trip", "--store", filled, "--profile", "tiny", "--json")
        assert result.exit_code == 0, result.output
        [one] = told(result)
        assert (one["tenant"], one["history"], one["status"]) == ("ana", "trip", "reindexed")
        assert one["chunks"] == store.info("ana", "trip").units == 2
        assert one["tokens"] > 0
        assert list(store.turns("ana", "trip")) == before
        assert asyncio.run(histories.is_current("ana", "trip"))
        assert not asyncio.run(histories.is_current("ben", "home"))
        assert asyncio.run(histories.ingest("ana", "trip", [Turn("new", "Ana", "hello")])).added
    rest = run("reindex", "--all", "--store", filled, "--profile", "tiny")
    assert rest.stdout == (
        "1 histories made anew, 1 were so already; 1 chunks made (2 tokens embedded)\n"
    )


def test_a_damaged_history_is_named_and_the_others_are_made_anew(filled, encoder, tmp_path):
    (tmp_path / "here" / "ana" / "trip.db").write_bytes(b"noise" * 1000)
    arguments = ("reindex", "--all", "--store", filled, "--profile", "tiny")
    result = run(*arguments, "--json")
    assert [each.get("status") for each in told(result)] == ["damaged", "reindexed", None]
    assert told(result)[-1]["error"]["code"] == "STORE_DAMAGED"
    assert result.exit_code == 1
    assert "damaged: trip" in run(*arguments).stderr


def test_the_encoder_of_a_profile_is_the_servers():
    profile = load_profile("tiny").encoder
    try:
        encoder = local_encoder(profile)
    except AssetError as exc:
        pytest.skip(f"the encoder's asset is not installed: {exc}")
    assert (encoder.name, encoder.dimension) == (profile.asset, profile.dimension)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "name histories, or --all"),
        (["trip", "--all"], 2, "name histories, or --all"),
        (["nope", "trip"], 1, "the store has no history 'nope'"),
        (["trip", "--tenant", "ben"], 1, "the store has no history 'trip' of tenant 'ben'"),
        (["trip", "--profile", "nope.toml"], 1, "nope.toml"),
    ],
)
@pytest.mark.usefixtures("encoder")
def test_what_cannot_be_made_anew_is_said(filled, arguments, code, message):
    result = run("reindex", *arguments, "--store", filled)
    assert result.exit_code == code
    assert message in " ".join(result.stderr.split())


def test_there_and_back_again_by_postgresql(filled, tmp_path, new_database):
    url, back = new_database(), str(tmp_path / "back")
    assert run("migrate", url).stdout == "store version 2, before 0\n"
    assert json.loads(run("migrate", url, "--json").stdout) == {"before": 2, "version": 2}
    for source, target in ((filled, url), (url, back)):
        result = run("copy", "--from", source, "--to", target)
        assert result.stdout.startswith("2 histories copied, 0 were there; 3 turns"), result.output
    with opened(filled) as first, opened(back) as last:
        for each in (("ana", "trip"), ("ben", "home")):
            assert list(last.turns(*each)) == list(first.turns(*each))
            assert last.info(*each) == first.info(*each)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["copy", "--from", "{}/nowhere", "--to", "{}/there"], "the store has no histories"),
        (["copy", "--from", "mysql://db", "--to", "{}/there"], "no store of the kind mysql://"),
        (["migrate", "{}/there"], "is no URL of a database"),
    ],
)
def test_what_cannot_be_is_one_line(arguments, message, tmp_path):
    result = run(*(each.format(tmp_path) for each in arguments))
    assert result.exit_code == 1
    assert message in result.stderr.splitlines()[0]
