"""`budgetmem serve` as a process of its own, with the real weights of profile `tiny`."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from typer.testing import CliRunner

from budgetmem import cli
from budgetmem.client import Client
from budgetmem.errors import BackboneUnavailable, ServerUnavailable
from budgetmem.tiers import Tier
from budgetmem.types import Budget, Turn
from tests.services.processes import command, descendants, until

pytestmark = pytest.mark.services

TURNS = [
    {"id": "t1", "speaker": "Ana", "text": "I booked the flight.", "time": "2023-05-08T13:56:00"},
    {"id": "t2", "speaker": "Bo", "text": "Rex, my dog, comes along.", "session": "s2"},
]


def serving(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "server", "--profile", "tiny", *arguments],
        # Other tests run the command in this process, where it silences gRPC's core.
        env={name: value for name, value in os.environ.items() if name != "GRPC_VERBOSITY"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module")
def server(needs_tiny, tmp_path_factory):
    """A running server: the process, the lines it began with and its address."""
    folder = tmp_path_factory.mktemp("served")
    port_file = folder / "port"
    arguments = ("--port", "0", "--port-file", str(port_file), "--data-dir", str(folder / "data"))
    process = serving(*arguments, "--drain", "2", "--metrics-port", "0")
    try:
        lines = [process.stdout.readline() for _ in range(2)]
        assert all(lines), process.stderr.read()
        yield process, lines, f"127.0.0.1:{port_file.read_text().strip()}"
    finally:
        process.kill()
        process.communicate()


def budgetmem(address: str, *arguments: str) -> str:
    environment = {**os.environ, "BUDGETMEM_SERVER": address}
    result = CliRunner(env=environment).invoke(cli.app, list(arguments))
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_question_from_ingest_to_proof_of_deletion(server, tmp_path):
    _, lines, address = server
    assert re.fullmatch(rf"ready on {address} in \d+\.\d s\n", lines[1])
    chat = tmp_path / "chat.jsonl"
    chat.write_text("\n".join(json.dumps(turn) for turn in TURNS))
    report = json.loads(budgetmem(address, "ingest", "trip", str(chat), "--json"))
    assert (report["added"], report["unchanged"]) == (2, 0)
    memory = json.loads(
        budgetmem(address, "extract", "trip", "Who booked the flight?", "--tier", "low", "--json")
    )
    receipt = memory["receipt"]
    assert [step["choice"]["tier"] for step in receipt["steps"]] == ["low"] * 5
    assert "Ana" in memory["text"]
    answer = json.loads(budgetmem(address, "answer", "trip", "Who booked the flight?", "--json"))
    assert answer["receipt"]["answer"]["output_tokens"] > 0
    assert answer["receipt"]["total"]["cost_usd"] > receipt["total"]["cost_usd"]
    proof = json.loads(budgetmem(address, "delete", "trip", "--yes", "--json"))
    assert (proof["turns"], proof["remaining"]) == (2, 0)


@pytest.mark.timeout(300)  # a second start of all models, and eight requests on High
def test_a_killed_triton_comes_back_and_nothing_accepted_is_lost(server, tmp_path):
    process, _, address = server
    with Client(address, timeout_s=120) as client, ThreadPoolExecutor() as pool:
        client.ingest("kept", [Turn("t1", "Ana", "I booked the flight.")])
        tiers = dict.fromkeys(client.info().modules, Tier.HIGH)
        asks = partial(
            client.extract, "kept", "Who booked?", strategy="capacity", budget=Budget(tiers)
        )
        running = [pool.submit(asks) for _ in range(8)]
        [triton] = [pid for pid in descendants(process.pid) if "bin/tritonserver" in program(pid)]
        os.kill(triton, signal.SIGKILL)
        for each in running:
            # Answered, or worth a retry and said so.
            with suppress(BackboneUnavailable, ServerUnavailable):
                assert "flight" in each.result().text
        assert until(lambda: whole(asks), 60)
        assert client.info().modules


def whole(asks) -> bool:
    """Whether the models answer again: nothing ran on a lower rung for want of them."""
    try:
        steps = asks().receipt.steps
    except (BackboneUnavailable, ServerUnavailable):
        return False
    away = {fallback.reason for step in steps for fallback in step.fallbacks}
    masked = {reason for step in steps for reason in step.choice.masked.values()}
    return "unavailable" not in away | masked


def program(pid: int) -> str:
    try:
        return command(pid).split()[0]
    except (OSError, IndexError):
        return ""


def test_metrics_tell_what_a_receipt_told(server, tmp_path):
    _, lines, address = server
    chat = tmp_path / "chat.jsonl"
    chat.write_text("\n".join(json.dumps(turn) for turn in TURNS))
    budgetmem(address, "ingest", "counted", str(chat), "--json")
    url = lines[0].removeprefix("metrics on ").strip()
    before = scraped(url)
    answer = json.loads(budgetmem(address, "answer", "counted", "Who booked?", "--json"))
    total, after = answer["receipt"]["total"], scraped(url)
    grown = {name: after[name] - before.get(name, 0) for name in after}
    tokens = total["input_tokens"] + total["output_tokens"]
    assert grown["budgetmem_tokens_total"] == tokens
    assert grown["budgetmem_cost_usd_total"] == pytest.approx(total["cost_usd"])
    assert grown["budgetmem_steps_total"] == 5
    assert grown["budgetmem_time_to_first_token_seconds_count"] >= 1
    assert grown["budgetmem_queue_items_total"] >= 2  # the request, and its answer
    assert after["budgetmem_ready"] == 1


def scraped(url):
    """The sum of each metric over its labels."""
    sums: dict[str, float] = {}
    for family in text_string_to_metric_families(httpx.get(url).text):
        for sample in family.samples:
            sums[sample.name] = sums.get(sample.name, 0) + sample.value
    return sums


def test_a_taken_port_is_one_line_and_exit_1(server):
    port = server[2].rpartition(":")[2]
    process = serving("--port", port)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert errors.startswith(f"error: cannot listen on 127.0.0.1:{port}")


def test_sigterm_ends_it_soon_with_exit_0(server):
    process = server[0]
    begin = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 0
    assert time.monotonic() - begin < 20
