from __future__ import annotations

import json
import logging
import sys

import pytest
from opentelemetry.trace import NonRecordingSpan, SpanContext, use_span

from server.logs import CallNames, JsonLines, TextLines
from server.observability.calls import Call, begin


def record_of(message="%s ü", *arguments, **more):
    record = logging.LogRecord("server.x", logging.ERROR, "x.py", 1, message, arguments, None)
    record.created = 0.0
    record.__dict__.update(more)
    assert CallNames().filter(record)
    return record


@pytest.fixture
async def call():
    """A call that the test works for."""
    begin(Call("mine-1", "Extract"))


def test_a_json_line_holds_message_level_time_and_trace():
    try:
        raise ValueError("broken")
    except ValueError:
        trace = sys.exc_info()
    line = json.loads(JsonLines().format(record_of("%s ü", "late", exc_info=trace)))
    assert line["trace"].endswith("ValueError: broken")
    del line["trace"]
    assert line == {
        "time": "1970-01-01T00:00:00+00:00",
        "level": "error",
        "logger": "server.x",
        "message": "late ü",
    }


async def test_a_line_names_its_call_and_trace(call):
    span = NonRecordingSpan(SpanContext(0xABC, 0x1, is_remote=True))
    with use_span(span):
        record = record_of("late")
    line = json.loads(JsonLines().format(record))
    assert (line["request_id"], line["trace_id"]) == ("mine-1", f"{0xABC:032x}")
    assert TextLines().format(record).endswith("ERROR   server.x: late [mine-1]")


async def test_fields_of_a_record_are_keys_of_its_line(call):
    line = json.loads(JsonLines().format(record_of("done", fields={"code": "OK", "tenant": "a"})))
    assert (line["code"], line["tenant"], line["request_id"]) == ("OK", "a", "mine-1")


def test_a_line_for_people_outside_of_a_call_is_as_it_was():
    text = TextLines().format(record_of("late"))
    assert text.endswith("ERROR   server.x: late")


def test_a_terminal_obeys_nothing_of_a_message_or_a_trace():
    try:
        raise ValueError("\x1b[2J said the endpoint")
    except ValueError:
        trace = sys.exc_info()
    text = TextLines().format(record_of("\x1b]0;late\x07", exc_info=trace))
    assert "]0;late" in text
    assert "[2J said the endpoint" in text
    assert not {"\x1b", "\x07"} & set(text)
