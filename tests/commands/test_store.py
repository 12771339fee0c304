"""`budgetmem store`: what it prints, and what it is told."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from budgetmem import cli
from budgetmem.store.opening import opened
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


def test_there_and_back_again_by_postgresql(filled, tmp_path, new_database):
    url, back = new_database(), str(tmp_path / "back")
    assert run("migrate", url).stdout == "store version 1, before 0\n"
    assert json.loads(run("migrate", url, "--json").stdout) == {"before": 1, "version": 1}
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
        (["copy", "--from", "{}/nowhere", "--to", "{}/there"], "no history to copy"),
        (["copy", "--from", "mysql://db", "--to", "{}/there"], "no store of the kind mysql://"),
        (["migrate", "{}/there"], "is no URL of a database"),
    ],
)
def test_what_cannot_be_is_one_line(arguments, message, tmp_path):
    result = run(*(each.format(tmp_path) for each in arguments))
    assert result.exit_code == 1
    assert message in result.stderr.splitlines()[0]
