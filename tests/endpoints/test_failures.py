"""Statuses as errors: which are worth a retry, how long to wait, and what is told."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from budgetmem.endpoints.failures import LONGEST, QUOTED, Telling, retry_after_s
from budgetmem.errors import BackboneUnavailable
from tests.endpoints.fakes import KEY

PROMPT = "<memories>\n[1] Ana: I moved to Lisbon because of the light.\n</memories>"
TELLING = Telling("tiny-chat at http://127.0.0.1:8000/v1", KEY, PROMPT)
NOON = 1_700_000_000.0


def failed(status, body="", **headers):
    return TELLING.failed_status(status, headers, body, lambda: NOON)


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504, 529])
def test_what_may_pass_is_worth_a_retry(status):
    assert isinstance(failed(status), BackboneUnavailable)


@pytest.mark.parametrize(("status", "reached"), [(429, False), (503, True), (504, True)])
def test_a_request_that_was_turned_away_did_not_reach_the_model(status, reached):
    assert failed(status).reached is reached


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 413, 422])
def test_what_will_not_pass_is_not(status):
    assert not isinstance(failed(status), BackboneUnavailable)


def test_a_message_names_the_server_the_status_and_the_reason():
    body = json.dumps({"error": {"message": "The model `x`\ndoes not exist", "type": "t"}})
    assert str(failed(404, body)) == (
        "tiny-chat at http://127.0.0.1:8000/v1 answered 404 Not Found: The model `x` does not "
        "exist (check the profile's base_url and model)"
    )


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ('{"error": "plain"}', "plain"),
        ('{"message": "at the top"}', "at the top"),
        ('{"error": {"message": 3}}', ""),
        ('{"detail": [{"input": "Ana"}]}', ""),
        ("<html>no JSON</html>", ""),
        ("[1]", ""),
        pytest.param("[" * 60_000, "", id="nested too deep"),
        ("", ""),
    ],
)
def test_messages_come_in_several_forms(body, told):
    assert TELLING.told(body) == told


@pytest.mark.parametrize(
    "said", [f"invalid key {KEY}", "bad input: 'I moved to Lisbon because'", PROMPT]
)
def test_a_message_that_tells_the_key_or_the_prompt_is_left_out(said):
    assert TELLING.told(json.dumps({"error": {"message": said}})) == ""


LINE = " ".join(PROMPT.split())


@given(st.integers(0, len(LINE) - QUOTED), st.text(max_size=30), st.text(max_size=30))
def test_no_part_of_a_prompt_is_told_whatever_is_around_it(start, before, after):
    part = LINE[start : start + QUOTED]
    told = TELLING.told(json.dumps({"error": before + part + after}))
    assert " ".join(part.split()) not in told or part != part.strip()


@pytest.mark.timeout(10)
def test_a_long_message_is_cut_before_the_prompt_is_looked_for_in_it():
    telling = Telling("s", KEY, "a prompt " * 100_000)
    body = json.dumps({"error": "too long " * 600_000})
    assert telling.told(body) == ("too long " * 600_000)[:LONGEST]
    cut = json.dumps({"error": "x" * (LONGEST - 4) + KEY})
    assert telling.told(cut) == ""


def test_a_prompt_that_says_nothing_keeps_no_message_back():
    telling = Telling("s", "", ".")
    assert telling.told('{"error": "no such model."}') == "no such model."


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("3", 3.0),
        ("0.25", 0.25),
        ("-1", 0.0),
        ("Tue, 14 Nov 2023 22:13:30 GMT", 10.0),
        ("Tue, 14 Nov 2023 22:13:10 GMT", 0.0),
        ("soon", None),
        ("nan", None),
        ("1e999", None),
        ("Tue, 14 Nov 2023 22:13:30 +99999999999999", None),
        ("Tue, 99999999999999999999 Nov 2023 22:13:30", None),
        ("", None),
    ],
)
def test_the_wait_that_a_server_asks_for(value, seconds):
    assert retry_after_s({"retry-after": value}, lambda: NOON) == seconds


@given(st.text())
def test_no_wait_is_more_than_nonsense(value):
    seconds = retry_after_s({"retry-after": value}, lambda: NOON)
    assert seconds is None or 0 <= seconds < math.inf


def test_the_wait_comes_with_the_error():
    assert failed(429, **{"retry-after": "2"}).retry_after_s == 2.0
    assert failed(503).retry_after_s is None
