"""What is sent, by what the profile says of the server."""

import pytest

from budgetmem.backbone import GenerationRequest
from budgetmem.endpoints.request import body_of
from tests.endpoints.fakes import REQUEST, endpoint

SCHEMA = {"type": "object", "properties": {"keep": {"type": "array"}}}
HELD = GenerationRequest("Which? Reply as JSON.", 8, SCHEMA, stop=("END",))


def test_the_prompt_is_one_user_message_and_all_the_rest_is_plain():
    assert body_of(endpoint(), REQUEST) == {
        "model": "tiny-chat",
        "messages": [{"role": "user", "content": REQUEST.prompt}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": 8,
        "temperature": 0.0,
        "logprobs": True,
    }


@pytest.mark.parametrize(
    ("replies", "form"),
    [
        (
            "json_schema",
            {
                "type": "json_schema",
                "json_schema": {"name": "reply", "schema": SCHEMA, "strict": True},
            },
        ),
        ("json_object", {"type": "json_object"}),
        ("prompt", None),
    ],
)
def test_a_schema_is_sent_as_the_server_takes_it(replies, form):
    assert body_of(endpoint(replies=replies), HELD).get("response_format") == form


def test_a_request_without_a_schema_asks_for_no_form():
    assert "response_format" not in body_of(endpoint(), REQUEST)


@pytest.mark.parametrize(
    ("change", "lacks"),
    [
        ({"usage": "unasked"}, "stream_options"),
        ({"usage": "counted", "tokenizer": "a/b"}, "stream_options"),
        ({"logprobs": False}, "logprobs"),
        ({"temperature": False}, "temperature"),
        ({"limit": "max_completion_tokens"}, "max_tokens"),
    ],
)
def test_what_a_server_does_not_take_is_not_sent(change, lacks):
    assert lacks not in body_of(endpoint(**change), REQUEST)


def test_limits_stops_seeds_and_further_fields():
    thinking = {"chat_template_kwargs": {"enable_thinking": False}}
    profile = endpoint(limit="max_completion_tokens", seed=7, body=thinking)
    body = body_of(profile, HELD)
    assert (body["max_completion_tokens"], body["seed"], body["stop"]) == (8, 7, ["END"])
    assert body["chat_template_kwargs"] == {"enable_thinking": False}
