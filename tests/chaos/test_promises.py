"""What counts as kept, and what does not: each part of the benchmark can fail."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import replace
from types import SimpleNamespace
from unittest.mock import AsyncMock

import pytest

from benchmarks.chaos import __main__ as chaos
from benchmarks.chaos import triton_kills
from benchmarks.chaos.footprint import Footprint
from benchmarks.chaos.fuzz import libfuzzer, suite
from benchmarks.chaos.fuzz.targets import NATIVE
from benchmarks.chaos.fuzz.verdict import Found, Verdict
from benchmarks.chaos.overload import FLOOD_S, Overload, recovered
from benchmarks.chaos.soak import (
    DESCRIPTORS,
    MOST_WARMING,
    STILL_SAMPLES,
    Soak,
    _is_warm,
    _median,
    _or_given_up,
)
from benchmarks.chaos.store_flood import MOST_MORE_BYTES, StoreFlood
from benchmarks.chaos.triton_kills import MOST_ROUNDS, PROMISED_S, Kill
from budgetmem.client.aio import AsyncClient
from budgetmem.errors import Conflict, ServerUnavailable
from server.child import Served

FINE = {"answered": 500, "retryable": 3, "late": 0, "failed": 0, "refused_without_hint": 0}
WARM = Footprint(1000, 2000, 50, 4, 4096)
SOAK = Soak(300.0, 20.0, WARM, WARM, FINE)
OVERLOAD = Overload(
    sustained=2.0,
    offered=20.0,
    before_bytes=1000,
    most_bytes=1400,
    before_s=0.5,
    after_s=0.6,
    recovery_s=3.0,
    requests=FINE,
)
FLOOD = StoreFlood(1000, 2000, 1.0, FINE, FINE, FINE, FINE)


def test_service_that_comes_back_in_time_is_kept_and_later_is_not():
    assert Kill("Triton", PROMISED_S, FINE).kept
    assert not Kill("Triton", PROMISED_S + 0.1, FINE).kept
    assert not Kill("Triton", None, FINE).kept


def test_triton_is_killed_no_more_often_than_a_server_starts_it_anew(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["chaos", "--rounds", str(MOST_ROUNDS + 1)])
    with pytest.raises(SystemExit):
        chaos.main()
    assert "--rounds: invalid choice" in capsys.readouterr().err


async def test_a_server_that_gave_up_its_triton_is_told(monkeypatch):
    monkeypatch.setattr(AsyncClient, "ingest", AsyncMock())
    here = Served("127.0.0.1:1", os.getpid(), 0.0)
    with pytest.raises(ServerUnavailable, match="no tritonserver is left"):
        await triton_kills.run(here, "Triton", rounds=1)


async def test_a_server_that_ends_under_a_kill_is_told_in_the_clients_words(monkeypatch):
    victim = SimpleNamespace(kill=lambda: None)
    monkeypatch.setattr(triton_kills, "started_by", lambda pid, name: [victim])
    monkeypatch.setattr(triton_kills, "answered_whole", AsyncMock(return_value=True))
    monkeypatch.setattr(AsyncClient, "ingest", AsyncMock())
    monkeypatch.setattr(AsyncClient, "extract", AsyncMock(side_effect=ServerUnavailable("gone")))
    with pytest.raises(ServerUnavailable, match=r"127\.0\.0\.1:1"):
        await triton_kills.run(Served("127.0.0.1:1", os.getpid(), 0.0), "Triton", rounds=1)


def test_a_part_whose_server_ends_is_not_kept_and_the_next_one_is_run(monkeypatch, tmp_path):
    def ends(args):
        raise ServerUnavailable("the server is gone")

    monkeypatch.setattr(chaos, "PARTS", {"triton": ends, "soak": lambda args: (True, {})})
    monkeypatch.setattr("sys.argv", ["chaos", "--json", str(tmp_path / "chaos.json")])
    with pytest.raises(SystemExit) as ended:
        chaos.main()
    assert ended.value.code == 1
    found = json.loads((tmp_path / "chaos.json").read_text())
    assert found["triton"] == {"kept": False, "figures": {"error": "the server is gone"}}
    assert found["soak"]["kept"]


@pytest.mark.parametrize("wrong", ["late", "failed", "refused_without_hint"])
def test_a_request_that_is_lost_in_a_kill_is_not_kept(wrong):
    assert not Kill("Triton", 1.0, FINE | {wrong: 1}).kept


@pytest.mark.parametrize(
    "end",
    [
        replace(WARM, server_bytes=1060),
        replace(WARM, triton_bytes=2120),
        replace(WARM, server_bytes=1060, triton_bytes=1800),
        replace(WARM, descriptors=50 + DESCRIPTORS + 1),
        replace(WARM, shared_files=5),
        replace(WARM, shared_bytes=4097),
    ],
)
def test_whatever_grows_in_a_soak_is_not_kept(end):
    assert SOAK.kept
    assert not replace(SOAK, end=end).kept


@pytest.mark.parametrize("wrong", ["late", "failed"])
def test_a_request_that_ends_otherwise_in_a_soak_is_not_kept(wrong):
    assert not replace(SOAK, requests=FINE | {wrong: 1}).kept


async def test_a_request_that_fails_before_it_is_given_up_has_failed():
    async def failing():
        raise Conflict("somebody else was first")

    giving_up = SimpleNamespace(random=lambda: 0.0, uniform=lambda low, high: high / 10)
    with pytest.raises(Conflict):
        await _or_given_up(failing, giving_up)
    await asyncio.wait_for(_or_given_up(asyncio.Event().wait, giving_up), 30)


def test_a_server_is_warm_when_its_triton_grows_no_more_or_never_stops_to():
    def grown(samples, share):
        return [replace(WARM, triton_bytes=int(1e9 * (1 + share) ** n)) for n in range(samples)]

    assert not _is_warm(grown(STILL_SAMPLES, 0.0))
    assert _is_warm(grown(STILL_SAMPLES + 1, 0.0))
    assert not _is_warm(grown(STILL_SAMPLES + 1, 0.001))
    assert _is_warm(grown(MOST_WARMING, 0.001))


def test_each_figure_of_a_footprint_has_a_median_of_its_own():
    samples = [Footprint(n, 9 - n, n * n, 5 - n, 0) for n in range(5)]
    assert _median(samples) == Footprint(2, 7, 4, 3, 0)


@pytest.mark.parametrize(
    "change",
    [
        {"most_bytes": 1501},
        {"recovery_s": None},
        {"requests": FINE | {"failed": 1}},
        {"requests": FINE | {"refused_without_hint": 1}},
        {"requests": FINE | {"answered": int(0.4 * 2.0 * FLOOD_S)}},
    ],
)
def test_an_overload_that_is_not_borne_is_not_kept(change):
    assert OVERLOAD.kept
    assert not replace(OVERLOAD, **change).kept


async def test_a_server_that_does_not_recover_is_not_waited_for_for_ever():
    async def slow():
        pass

    assert (await recovered(slow, soon_s=60.0, limit_s=60.0))[1] is not None
    assert (await recovered(slow, soon_s=-1.0, limit_s=0.05))[1] is None


@pytest.mark.parametrize(
    "change",
    [
        {"most_bytes": 1001 + MOST_MORE_BYTES},
        {"recovery_s": None},
        {"ingests": FINE | {"failed": 1}},
        {"ingests": FINE | {"answered": 0}},
        {"exports": FINE | {"refused_without_hint": 1}},
        {"repeats": FINE | {"answered": 0}},
        {"erasures": FINE | {"failed": 1}},
    ],
)
def test_a_flood_that_is_not_borne_is_not_kept(change):
    assert FLOOD.kept
    assert not replace(FLOOD, **change).kept


@pytest.fixture
def built(monkeypatch):
    """As after `make fuzz`."""
    monkeypatch.setattr(libfuzzer, "built", lambda: dict.fromkeys(libfuzzer.named()))
    monkeypatch.setattr(suite, "_cores", lambda: ["_core.so"])
    return monkeypatch


RAN = Verdict("core", "seeded", 0, 1000, 1.0, 1.0, 0.1, ())


def test_targets_that_were_not_built_are_told_and_not_kept(built):
    assert chaos.fuzz_kept([RAN], 1000)
    built.setattr(libfuzzer, "built", dict)
    assert suite.not_built() == ["csrc-decisions", "csrc-extremes", "csrc-model"]
    assert not chaos.fuzz_kept([RAN], 1000)
    built.setattr(suite, "_cores", list)
    assert set(suite.not_built()) > {f"{name}.sanitized" for name in NATIVE}


def test_findings_and_inputs_that_were_not_run_are_not_kept(built):
    assert not chaos.fuzz_kept([replace(RAN, inputs=999)], 1000)
    assert not chaos.fuzz_kept([replace(RAN, findings=(Found("a bug", "file"),))], 1000)


def test_everything_that_is_promised_is_a_part():
    assert set(chaos.PARTS) == {
        *("store", "triton", "overload", "flood", "isolation", "soak", "fuzz"),
    }
