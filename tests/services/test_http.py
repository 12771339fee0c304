"""`budgetmem serve --http-port` as a process of its own, with the real weights of `tiny`."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import httpx
import pytest

pytestmark = [pytest.mark.services, pytest.mark.timeout(600)]

TURNS = [
    {"id": "t1", "speaker": "Ana", "text": "I booked the flight.", "time": "2023-05-08T13:56:00"},
    {"id": "t2", "speaker": "Bo", "text": "Rex, my dog, comes along.", "session": "s2"},
]


@pytest.fixture
def served(needs_tiny, tmp_path):
    """A running server: the process, and a client of its HTTP."""
    arguments = ["--profile", "tiny", "--data-dir", str(tmp_path / "data"), "--drain", "2"]
    process = subprocess.Popen(
        [sys.executable, "-m", "server", *arguments, "--port", "0", "--http-port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        said = process.stdout.readline()
        assert said.startswith("http on http://127.0.0.1:"), process.stderr.read()
        url = said.removeprefix("http on ").strip()
        with httpx.Client(base_url=url, timeout=300, trust_env=False) as client:
            yield process, client
    finally:
        process.kill()
        process.communicate()


def test_a_question_from_ingest_to_the_end(served):
    process, client = served
    assert client.get("/v1/info").status_code == 503
    assert process.stdout.readline().startswith("ready on ")
    assert client.get("/healthz").status_code == 200
    report = client.post("/v1/histories/trip:ingest", json={"turns": TURNS}).json()
    assert (report["added"], report["unchanged"]) == (2, 0)
    question = {"query": "Who booked the flight?", "budget": {"tier": "TIER_LOW"}}
    memory = client.post("/v1/histories/trip:extract", json=question).json()["memory"]
    assert "Ana" in memory["text"]
    assert [step["choice"]["tier"] for step in memory["receipt"]["steps"]] == ["TIER_LOW"] * 5
    lines = {"accept": "application/x-ndjson"}
    streamed = client.post("/v1/histories/trip:extractStream", json=question, headers=lines)
    assert json.loads(streamed.text.splitlines()[-1])["memory"]["text"] == memory["text"]
    answer = client.post("/v1/histories/trip:answer", json={"query": question["query"]}).json()
    assert int(answer["receipt"]["answer"]["outputTokens"]) > 0
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=120) == 0
