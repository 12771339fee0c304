"""A stream as the server of llama.cpp sent it (xllamacpp 2026.10.11549), shortened."""

from pathlib import Path

import httpx
import pytest

from tests.endpoints.fakes import REQUEST, backbone

STREAM = (Path(__file__).parent / "recorded" / "llama_cpp.txt").read_bytes()


async def test_a_recorded_stream_reads_as_it_was_meant():
    headers = {"content-type": "text/event-stream"}
    model = backbone(lambda request: httpx.Response(200, headers=headers, content=STREAM))
    completion = await model.generate(REQUEST)
    assert (completion.text, completion.finish_reason) == ("I'm sorry", "length")
    assert (completion.input_tokens, completion.output_tokens) == (36, 3)
    assert completion.cumulative_logprob == pytest.approx(-3.0398989)
