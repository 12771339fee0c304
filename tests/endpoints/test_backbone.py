"""Calls of an endpoint: replies, tokens, failures, and what is kept out of messages."""

import asyncio
import json
import logging
import math

import httpx
import pytest
from httpx_sse import EventSource

from budgetmem.backbone import GenerationRequest
from budgetmem.endpoints.backbone import LONGEST_ERROR
from budgetmem.errors import BackboneError, BackboneUnavailable
from tests.endpoints.fakes import (
    KEY,
    REQUEST,
    Script,
    backbone,
    ended,
    perfect,
    said,
    stream,
    told,
)


def answering(*chunks, **changes):
    return backbone(lambda request: stream(*chunks), **changes)


async def test_pieces_become_one_completion():
    completion = await backbone(Script()).generate(REQUEST)
    assert (completion.text, completion.finish_reason) == ("Ana.", "stop")
    assert (completion.input_tokens, completion.output_tokens) == (20, 3)
    assert completion.cached_tokens == 0
    assert completion.cumulative_logprob is None
    assert 0 <= completion.first_token_ms <= completion.milliseconds


async def test_log_probabilities_add_up():
    pieces = [
        said("An", logprobs={"content": [{"token": "An", "logprob": -0.5}]}),
        said("a.", logprobs={"content": [{"logprob": -1.0}, {"logprob": -0.25}]}),
    ]
    completion = await answering(*pieces, ended(), told()).generate(REQUEST)
    assert completion.cumulative_logprob == -1.75


@pytest.mark.parametrize("told_logprobs", [(math.inf, -math.inf), (-1e308, -1e308), (math.nan,)])
async def test_log_probabilities_that_add_up_to_nothing_are_none(told_logprobs):
    content = [{"logprob": each} for each in told_logprobs]
    piece = said("An", logprobs={"content": content})
    completion = await answering(piece, ended(), told()).generate(REQUEST)
    assert completion.cumulative_logprob is None


async def test_cached_tokens_are_told():
    details = {"cached_tokens": 16}
    completion = await answering(said("A"), ended(), told(prompt_tokens_details=details)).generate(
        REQUEST
    )
    assert completion.cached_tokens == 16


@pytest.mark.parametrize("details", [None, {}, {"cached_tokens": None}])
async def test_cached_tokens_may_be_unknown(details):
    chunks = (said("A"), ended(), told(prompt_tokens_details=details))
    assert (await answering(*chunks).generate(REQUEST)).cached_tokens == 0


async def test_what_the_content_filter_ends_is_a_reply_that_was_paid():
    completion = await answering(said("An"), ended("content_filter"), told()).generate(REQUEST)
    assert (completion.text, completion.finish_reason) == ("An", "content_filter")
    assert completion.output_tokens == 3


async def test_reasoning_is_a_first_token_but_no_text():
    heard = []
    thought = {"choices": [{"delta": {"reasoning_content": "Hm."}}]}
    role = {"choices": [{"delta": {"role": "assistant", "content": None}}]}
    completion = await answering(role, thought, said("Ana"), ended(), told()).generate(
        REQUEST, lambda: heard.append(True)
    )
    assert completion.text == "Ana"
    assert heard == [True]


async def test_separators_that_only_python_breaks_lines_at_stay_in_the_text():
    text = "a\u2028b\x85c\x0bd"
    chunk = json.dumps(said(text), ensure_ascii=False)
    assert (await answering(chunk, ended(), told()).generate(REQUEST)).text == text


async def test_comments_and_empty_events_are_nothing():
    content = f": ping\n\ndata:\n\ndata: {json.dumps(said('A', finish_reason='stop'))}\n\n"
    content += f"data: {json.dumps(told())}\n\ndata: [DONE]\n\n"
    headers = {"content-type": "text/event-stream; charset=utf-8"}
    model = backbone(lambda request: httpx.Response(200, headers=headers, content=content))
    assert (await model.generate(REQUEST)).text == "A"


@pytest.mark.parametrize("charset", ["rot13", "hex", "undefined", "utf-16"])
async def test_streams_of_events_are_utf_8_whatever_they_say(charset):
    headers = {"content-type": f"text/event-stream; charset={charset}"}
    content = stream(said("Ana"), ended(), told()).content
    model = backbone(lambda request: httpx.Response(200, headers=headers, content=content))
    assert (await model.generate(REQUEST)).text == "Ana"


async def test_what_cannot_be_read_is_an_error(monkeypatch):
    async def broken(events):
        raise UnicodeError("Lisbon")
        yield

    monkeypatch.setattr(EventSource, "aiter_sse", broken)
    with pytest.raises(BackboneError, match=r"cannot be read \(UnicodeError\)$"):
        await answering(said("A")).generate(REQUEST)


@pytest.mark.parametrize("usage", [[], [told(prompt_tokens=0, completion_tokens=0)]])
async def test_usage_that_is_not_told_is_an_error_and_says_what_to_do(usage):
    with pytest.raises(BackboneError, match=r"how many tokens it took.*'counted'"):
        await answering(said("A"), ended(), *usage).generate(REQUEST)


async def test_the_end_may_come_without_a_delta():
    end = {"choices": [{"index": 0, "delta": None, "finish_reason": "stop"}]}
    assert (await answering(said("A"), end, told()).generate(REQUEST)).finish_reason == "stop"


async def test_usage_may_be_counted_here():
    model = answering(said("one two"), ended(), usage="counted", tokenizer="a/b")
    request = GenerationRequest("a b c", 8, prompt_tokens=103)
    completion = await model.generate(request)
    assert (completion.input_tokens, completion.output_tokens) == (103, 2)


async def test_prompts_are_counted_with_what_a_template_may_add():
    assert backbone(Script(), template_tokens=30).tokens.count("a b c") == 33


async def test_a_count_that_falls_short_is_warned_of_once(caplog):
    model = answering(said("A"), ended(), told(prompt_tokens=500))
    for _ in range(2):
        await model.generate(REQUEST)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "500 tokens for a prompt that was counted as 108" in caplog.text
    assert "Lisbon" not in caplog.text


@pytest.mark.parametrize("chunks", [(), (said("A"),), (said("A"), told())])
async def test_a_reply_without_an_end_is_worth_a_retry(chunks):
    with pytest.raises(BackboneUnavailable, match=r"tiny-chat at http.*middle of a reply"):
        await answering(*chunks).generate(REQUEST)


async def test_an_unknown_end_is_an_error():
    with pytest.raises(BackboneError, match="reason 'tool_calls'"):
        await answering(said("A"), ended("tool_calls"), told()).generate(REQUEST)


@pytest.mark.parametrize("error", ["out of memory", {"message": "out of memory"}])
async def test_an_error_within_a_stream_is_worth_a_retry(error):
    with pytest.raises(BackboneUnavailable, match="middle of a reply: out of memory"):
        await answering(said("A"), {"error": error}).generate(REQUEST)


@pytest.mark.parametrize(
    "chunk",
    [
        "Lisbon",
        "[1]",
        '{"choices": "Lisbon"}',
        json.dumps(told(prompt_tokens=-1)),
        json.dumps(told(completion_tokens=10**310)),
        json.dumps(told(prompt_tokens_details={"cached_tokens": 10**310})),
    ],
)
async def test_what_is_no_chunk_is_an_error_that_quotes_nothing(chunk):
    with pytest.raises(BackboneError, match="no chunk") as caught:
        await answering(chunk).generate(REQUEST)
    assert "Lisbon" not in str(caught.value)


async def test_a_reply_that_is_not_streamed_is_an_error():
    model = backbone(lambda request: httpx.Response(200, json={"choices": []}))
    with pytest.raises(BackboneError, match="did not stream"):
        await model.generate(REQUEST)


@pytest.mark.parametrize(
    ("failure", "reached"),
    [
        (httpx.ConnectError("refused"), False),
        (httpx.ConnectTimeout("slow"), False),
        (httpx.ReadTimeout("slow"), True),
        (httpx.ReadError("gone"), True),
    ],
)
async def test_a_server_that_is_away_is_worth_a_retry(failure, reached):
    def fail(request):
        raise failure

    with pytest.raises(BackboneUnavailable, match=type(failure).__name__) as caught:
        await backbone(fail).generate(REQUEST)
    assert caught.value.reached is reached


async def test_the_key_is_sent_and_told_to_nobody(caplog):
    caplog.set_level(logging.DEBUG)
    script = Script(lambda: httpx.Response(401, json={"error": {"message": f"bad key {KEY}"}}))
    model = backbone(script, key=KEY, base_url="https://llm.example/v1", api_key_env="LLM_KEY")
    with pytest.raises(BackboneError, match=r"401 Unauthorized .check the key") as caught:
        await model.generate(REQUEST)
    assert script.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert KEY not in str(caught.value) + repr(caught.value) + caplog.text


async def test_of_a_long_error_only_the_beginning_is_read():
    blocks = []

    async def body():
        for _ in range(1280):
            blocks.append(4096)
            yield b"x" * 4096

    model = backbone(lambda request: httpx.Response(500, content=body()))
    with pytest.raises(BackboneUnavailable, match=r"500 Internal Server Error$"):
        await model.generate(REQUEST)
    assert sum(blocks) == LONGEST_ERROR


async def test_redirections_are_not_followed_since_the_key_would_go_along():
    script = Script(lambda: httpx.Response(307, headers={"location": "https://other.example/"}))
    with pytest.raises(BackboneError, match="307"):
        await backbone(script, key=KEY).generate(REQUEST)
    assert len(script.requests) == 1


async def test_the_address_is_the_base_with_the_path():
    script = Script()
    await backbone(script, base_url="https://llm.example/openai/v1/").generate(REQUEST)
    assert str(script.requests[0].url) == "https://llm.example/openai/v1/chat/completions"


async def test_many_at_once_do_not_mix():
    def echo(request):
        asked = json.loads(request.content)["messages"][0]["content"]
        return stream(said(asked), ended(), told())

    model = backbone(echo)
    asked = [GenerationRequest(f"number {i}", 8) for i in range(8)]
    replies = await asyncio.gather(*(model.generate(each) for each in asked))
    assert [each.text for each in replies] == [each.prompt for each in asked]


async def test_a_client_can_be_used_again():
    script = Script(perfect)
    model = backbone(script)
    for _ in range(2):
        await model.generate(REQUEST)
    assert len(script.requests) == 2
