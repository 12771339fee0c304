"""Endpoints against a real server: llama.cpp's, with the real weights of profile `tiny`."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from budgetmem.assets import asset_dir
from budgetmem.backbone import GenerationRequest
from budgetmem.client import Client
from budgetmem.config import Profile, load_profile
from budgetmem.endpoints import connected
from budgetmem.errors import AssetError, BackboneError, BackboneUnavailable
from budgetmem.modules import MODULES
from budgetmem.prompting import module_prompt, reply_schema
from budgetmem.tiers import Tier
from budgetmem.types import Budget, Turn, Workspace
from tests.fakes import CHUNKS

pytestmark = [
    pytest.mark.services,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(1200),
]

KEY = "sk-only-for-this-test"
KEY_ENV = "TEST_LLAMA_KEY"
LOAD_S = 600
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 20}, "known": {"type": "boolean"}},
    "required": ["city", "known"],
    "additionalProperties": False,
}
TABLE = """
[backbones.served]
kind = "openai"
base_url = "{url}/v1"
model = "smollm2-135m"
api_key_env = "{key_env}"
tokenizer = "{tokenizer}"
context = 4096
seed = 0
price = {{ input = 1.0, output = 2.0, source = "a test" }}
speed = {{ prefill = 3000, decode = 100 }}
"""


@pytest.fixture(scope="module")
def url():
    """The address of a llama.cpp that answers; skips without its package or the weights."""
    pytest.importorskip("xllamacpp", exc_type=ImportError)
    try:
        weights = asset_dir("smollm2-135m") / "model.gguf"
    except AssetError as exc:
        pytest.skip(f"{exc}")
    script = Path(__file__).parent / "llama_server.py"
    process = subprocess.Popen(
        [sys.executable, str(script), str(weights), KEY],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        address = process.stdout.readline().strip()
        assert address
        deadline = time.monotonic() + LOAD_S
        while httpx.get(f"{address}/health").status_code != httpx.codes.OK:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        yield address
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def profile_file(url, tmp_path_factory) -> Path:
    """`tiny` with the server for every tier: its own backbone, which Triton has, is not needed."""
    source = Path(__file__).parents[2] / "budgetmem" / "profiles" / "tiny.toml"
    head, _, rest = source.read_text().partition("[backbones.all]")
    table = TABLE.format(
        url=url, key_env=KEY_ENV, tokenizer=asset_dir("smollm2-135m") / "tokenizer.json"
    )
    path = tmp_path_factory.mktemp("llama") / "served.toml"
    text = head.replace('"all"', '"served"') + table + rest[rest.index("[encoder]") :]
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def profile(profile_file) -> Profile:
    return load_profile(str(profile_file))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def backbone(profile):
    async with connected(profile, {KEY_ENV: KEY}) as found:
        yield found["served"]


def ask(prompt: str, max_tokens: int = 12, **more) -> GenerationRequest:
    return GenerationRequest(prompt, max_tokens, **more)


async def test_a_reply_with_its_tokens_its_logprob_and_its_first_token(backbone):
    heard = []
    request = ask("Name the capital of France, naïvely: 東京?")
    completion = await backbone.generate(request, lambda: heard.append(True))
    assert completion.text.strip()
    assert 0 < completion.input_tokens <= backbone.tokens.count(request.prompt)
    assert 0 < completion.output_tokens <= 12
    assert completion.cumulative_logprob < 0
    assert heard == [True]
    assert 0 < completion.first_token_ms <= completion.milliseconds


async def test_what_was_read_before_is_told_as_cached_and_the_reply_repeats(backbone):
    request = ask("Count from one to five, and then from five to one.")
    first, second = [await backbone.generate(request) for _ in range(2)]
    assert first.text == second.text
    assert second.cached_tokens > 0


async def test_the_limit_ends_a_reply(backbone):
    completion = await backbone.generate(ask("Tell a long story.", 4))
    assert (completion.output_tokens, completion.finish_reason) == (4, "length")


async def test_a_schema_is_kept_to(backbone):
    request = ask("Where is the Eiffel tower? Answer in JSON.", 64, schema=SCHEMA)
    reply = json.loads((await backbone.generate(request)).text)
    assert set(reply) == {"city", "known"}


@pytest.mark.parametrize(("name", "style"), [("summary", "direct"), ("filter", "stepwise")])
async def test_the_schemas_of_modules_are_taken(backbone, name, style):
    work = Workspace.start("What did Ana adopt?", CHUNKS, datetime(2023, 7, 1))
    module = MODULES[name]
    prompt = module_prompt(module, style, work)
    schema = reply_schema(module, style, work)
    completion = await backbone.generate(ask(prompt.text, 24, schema=schema))
    assert completion.text.lstrip().startswith("{")


async def test_a_prompt_beyond_the_context_is_refused_and_not_quoted(backbone):
    with pytest.raises(BackboneError, match="400 Bad Request") as caught:
        await backbone.generate(ask("Lisbon " * 5000))
    assert not isinstance(caught.value, BackboneUnavailable)
    assert "Lisbon" not in str(caught.value)


async def test_a_wrong_key_is_refused_and_says_which_variable(profile):
    async with connected(profile, {KEY_ENV: "wrong"}) as found:
        with pytest.raises(BackboneError, match=r"401 .*api_key_env"):
            await found["served"].generate(ask("Hi."))


async def test_a_cancelled_call_frees_the_only_slot(backbone):
    first = asyncio.Event()
    task = asyncio.create_task(backbone.generate(ask("Tell a long story.", 3000), first.set))
    await asyncio.wait_for(first.wait(), 300)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    # 3,000 tokens take minutes; a slot that is free answers sooner.
    assert (await asyncio.wait_for(backbone.generate(ask("Hi.", 2)), 120)).output_tokens


async def test_a_server_of_endpoints_answers_with_no_llm_on_triton(profile_file, tmp_path):
    pytest.importorskip("pytriton", exc_type=ImportError)
    port_file = tmp_path / "port"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "server", "--profile", str(profile_file), "--port", "0"),
        *("--port-file", str(port_file), "--data-dir", str(tmp_path / "data"), "--drain", "1"),
        env={**os.environ, KEY_ENV: KEY},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        ready = await process.stdout.readline()
        assert ready.startswith(b"ready"), (await process.stderr.read()).decode()
        memory, info = await asyncio.to_thread(
            _extract, f"127.0.0.1:{port_file.read_text().strip()}"
        )
    finally:
        process.terminate()
        _, logged = await process.communicate()
    [backbone] = info.backbones
    assert (backbone.engine, backbone.triton_model) == ("openai", "")
    [summary] = [step for step in memory.receipt.steps if step.module == "summary"]
    # What a model of this size writes may be of no use; it was asked, and is paid.
    assert summary.usage.output_tokens > 0
    assert summary.mean_logprob < 0
    assert KEY.encode() not in logged


def _extract(address: str):
    with Client(address, timeout_s=600) as client:
        client.ingest("trip", [Turn("t1", "Ana", "I booked the flight to Lisbon.")])
        tiers = dict.fromkeys(client.info().modules, Tier.LOW) | {"summary": Tier.HIGH}
        memory = client.extract(
            "trip", "Who booked?", strategy="implementation", budget=Budget(tiers)
        )
        return memory, client.info()
