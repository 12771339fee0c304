"""From a dataset to a router that serves, by the commands, on a real Triton with tiny weights."""

import asyncio
import json
import sys
from pathlib import Path

import pytest

from training.rollouts import outcomes
from training.rollouts.paths import planned, spell

pytestmark = [
    pytest.mark.services,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(600),
]

ROOT = Path(__file__).parents[2]
SAID = (
    ("Ana", "I moved to Lisbon last week, and I adopted a cat."),
    ("Ben", "A cat! What is its name?"),
    ("Ana", "Miso. It sleeps on my new desk."),
    ("Ben", "I start at the library in May."),
)


def conversation(number: int) -> dict:
    """In LoCoMo's form; the splits go by its place in the file."""
    turns = [
        {"speaker": speaker, "dia_id": f"D1:{place}", "text": text}
        for place, (speaker, text) in enumerate(SAID, 1)
    ]
    asked = {"category": 4, "question": "What is the name of Ana's cat?", "answer": "Miso"}
    return {
        "sample_id": f"conv-{number}",
        "conversation": {"session_1_date_time": "1:56 pm on 8 May, 2023", "session_1": turns},
        "qa": [{**asked, "evidence": ["D1:3"]}],
    }


async def run(*command: object) -> str:
    """What a command of this environment printed; it must have succeeded."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *map(str, command),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    told, _ = await process.communicate()
    assert process.returncode == 0, told.decode()
    return told.decode()


async def test_a_router_is_recorded_trained_live_exported_and_checked(tiny_triton, tmp_path):
    data = tmp_path / "toy.json"
    data.write_text(json.dumps([conversation(number) for number in range(7)]))
    live = ("--data", data, "--triton-url", tiny_triton, "--data-dir", tmp_path / "histories")
    live = (*live, "--recording", tmp_path / "replies.sqlite")
    files = {split: tmp_path / f"{split}.jsonl.gz" for split in ("train", "validation")}
    record = ("training/record.py", *live, "--profile", "tiny", "--strategy", "implementation")
    for split, path in files.items():
        await run(*record, "--split", split, "--questions", 1, "--output", path)
        (found,) = outcomes.read(path).outcomes
        assert set(found.leaves) == {spell(each) for each in planned(found.question)}
        assert all(leaf.cost_usd > 0 for leaf in found.leaves.values())
    again = await run(*record, "--questions", 1, "--output", files["train"])
    assert "1 of 1 questions are done" in again

    out = tmp_path / "run"
    asked = ("--outcomes", files["train"], "--validation", files["validation"], "--out", out)
    await run("training/train.py", *live, *asked, "--live", "--updates", 1, "--batch", 2)
    await run("training/export_onnx.py", out / "best.pt", tmp_path / "router")
    told = await run("-m", "budgetmem", "router", "check", tmp_path / "router", "--profile", "tiny")
    assert "implementation" in told
