"""Streams as servers send them: one recorded, the others written by hand after documentation.

`recorded/` is what a real server sent (that of llama.cpp, xllamacpp 2026.10.11549), shortened. Each
file of `documented/` says after what it was written: it shows that this form is read as it is
meant, not that a server sends it.
"""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from budgetmem.errors import BackboneUnavailable
from tests.endpoints.fakes import REQUEST, backbone

HERE = Path(__file__).parent
EVENTS = {"content-type": "text/event-stream"}


def answering(name):
    content = (HERE / name).read_bytes()
    return backbone(lambda request: httpx.Response(200, headers=EVENTS, content=content))


async def test_a_recorded_stream_reads_as_it_was_meant():
    completion = await answering("recorded/llama_cpp.txt").generate(REQUEST)
    assert (completion.text, completion.finish_reason) == ("I'm sorry", "length")
    assert (completion.input_tokens, completion.output_tokens) == (36, 3)
    assert completion.cumulative_logprob == pytest.approx(-3.0398989)


@pytest.mark.parametrize(
    ("server", "tokens", "cached", "logprob"),
    [
        ("vllm", (31, 3), 16, -0.875),  # the token that ends the reply is told too
        ("ollama", (29, 7), 0, -0.75),
        ("openai", (1061, 3), 1024, -0.75),
    ],
)
async def test_a_documented_stream_reads_as_it_is_meant(server, tokens, cached, logprob):
    completion = await answering(f"documented/{server}.txt").generate(REQUEST)
    assert (completion.text, completion.finish_reason) == ("Porto", "stop")
    assert (completion.input_tokens, completion.output_tokens) == tokens
    assert completion.cached_tokens == cached
    assert completion.cumulative_logprob == pytest.approx(logprob)


@pytest.mark.parametrize(
    ("server", "told"),
    [
        ("vllm", "failed in the middle of a reply: Internal server error"),
        ("ollama", "went away in the middle of a reply"),
        ("openai", "failed in the middle of a reply: The model failed. Try again."),
    ],
)
async def test_a_documented_failure_in_the_middle_is_worth_a_retry(server, told):
    with pytest.raises(BackboneUnavailable, match=told):
        await answering(f"documented/{server}_failed.txt").generate(REQUEST)


@pytest.mark.parametrize(
    "path", sorted((HERE / "documented").iterdir()), ids=lambda path: path.name
)
def test_what_no_server_sent_says_so(path):
    first, second, *_ = path.read_text(encoding="utf-8").splitlines()
    assert first.startswith(": Written by hand, not recorded")
    assert "commit" in second or "document" in second
