"""Every row over the real doors, on fake models."""

import asyncio
from collections import Counter

import pytest

from benchmarks.load.measures import OK
from benchmarks.throughput.rows import OURS, ROWS
from benchmarks.throughput.service import Service, new_salt, salted
from benchmarks.throughput.tally import Counted, Tally
from benchmarks.throughput.workloads import WORKLOADS
from budgetmem.backbone import (
    Caller,
)
from budgetmem.config import load_profile
from budgetmem.errors import BackboneError
from tests.benchmarks.throughput.toys import PROFILE, QUESTIONS, TURNS, models

HEAD = "<|im_start|>user\n"


async def run_row(name, workload, tmp_path, fakes=None):
    """The statuses of three queries, what reached the models, and the salt."""
    workload = WORKLOADS[workload]
    queries = workload.queries(QUESTIONS, 3, seed=0, repeat=0)
    salt = new_salt()
    async with Service.opened(PROFILE, fakes or models(), workload, tmp_path, 20) as service:
        await service.ingest({"pets": TURNS})
        async with service.running(ROWS[name], salt, queries) as run:
            statuses = await asyncio.gather(*(run.ask("benchmark", n) for n in range(3)))
    return statuses, run, salt


@pytest.mark.parametrize("name", ROWS)
async def test_every_row_answers_with_five_salted_calls_a_query(name, tmp_path):
    statuses, run, salt = await run_row(name, "shared", tmp_path)
    assert statuses == [OK] * 3
    assert run.tally.counters()["llm_calls"] == 15
    assert run.fallbacks == {}
    prompts = [request.prompt for request in run.tally.requests["all"]]
    assert all(prompt.startswith(f"{HEAD}{salt}\n") for prompt in prompts)
    assert all(prompt.endswith("<|im_end|>\n<|im_start|>assistant\n") for prompt in prompts)
    memories_first = [prompt.index("<memories>") < prompt.index("Reply as") for prompt in prompts]
    assert memories_first == [ROWS[name].memories_first] * 15


async def test_rows_ask_the_same_in_another_order(tmp_path):
    _, first, salt = await run_row(OURS, "shared", tmp_path)
    _, second, other = await run_row("ours-instructions-first", "shared", tmp_path)

    def sizes(run):
        return sorted(len(request.prompt) for request in run.tally.requests["all"])

    assert len(salt) == len(other)
    assert salt != other
    assert sizes(first) == sizes(second)
    assert first.tally.prompt_tokens == second.tally.prompt_tokens


async def test_extraction_only_calls_no_backbone_for_filter_and_summary(tmp_path):
    statuses, run, _ = await run_row(OURS, "extraction-only", tmp_path)
    assert statuses == [OK] * 3
    assert run.fallbacks == {"filter": 3, "summary": 3}
    asked = Counter(
        key
        for request in run.tally.requests["all"]
        for key in ("may hold", "the relations", "the events", "collect the facts", "Copy word")
        if key in request.prompt
    )
    assert asked == {"the relations": 3, "the events": 3, "collect the facts": 3}


async def test_specialist_and_local_call_no_backbone(tmp_path):
    for workload, tagged in (("specialist", True), ("local", False)):
        statuses, run, _ = await run_row(OURS, workload, tmp_path)
        assert statuses == [OK] * 3
        assert (run.tally.llm_calls, run.tally.tagger_texts > 0) == (0, tagged)


async def test_a_failure_is_a_status(tmp_path):
    def refuse(prompt):
        raise BackboneError("no")

    statuses, run, _ = await run_row("all-at-once", "shared", tmp_path, models(refuse))
    assert OK not in statuses
    assert run.tally.llm_calls == 0


async def test_encoder_calls_hold_one_text_without_batching():
    texts = [f"cat number {n}" for n in range(6)]
    calls = {}
    for name in (OURS, "ours-no-encoder-batching"):
        tally = Tally()
        async with ROWS[name].around(Counted(models(), tally), PROFILE) as behind:
            await behind.bound(Caller("ana", "retrieve")).encoder.embed(texts)
        calls[name] = (tally.encoder_calls, tally.encoder_texts)
    assert calls == {OURS: (1, 6), "ours-no-encoder-batching": (6, 6)}


async def test_without_memory_a_text_is_embedded_again():
    texts = {}
    for name in (OURS, "ours-no-memory"):
        tally = Tally()
        async with ROWS[name].around(Counted(models(), tally), PROFILE) as behind:
            for _ in range(2):
                await behind.bound(Caller("ana", "retrieve")).encoder.embed(["a cat"])
        texts[name] = tally.encoder_texts
    assert texts == {OURS: 1, "ours-no-memory": 2}


def test_a_salt_goes_into_every_template_once():
    small = load_profile("small")
    changed = salted(small, "12345678")
    for key, backbone in small.backbones.items():
        assert changed.backbones[key].template == backbone.template.replace(
            "{prompt}", "12345678\n{prompt}"
        )
