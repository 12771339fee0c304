"""The console's scripts in Node, with what the server really says."""

from __future__ import annotations

import json
import shutil
import subprocess
from importlib.resources import files

import pytest

from tests.server.http.house import open_house

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not installed"),
]

WATCH = """
const run = new Run(place, "Extraction", 1, ["filter", "entity", "summary"]);
for (const line of input.trim().split("\\n")) {
  const [[kind, value]] = Object.entries(JSON.parse(line));
  run[kind](value);
}
"""


@pytest.fixture(scope="module")
def told():
    """A stream of events, and an answer, as the server sends them."""
    with open_house() as house:
        headers = {"accept": "application/x-ndjson"}
        question = {"query": "When?"}
        stream = house.http.post(
            "/v1/histories/h:extractStream", json=question, headers=headers
        ).text
        return stream, house.http.post("/v1/histories/h:answer", json=question).text


def test_app_is_a_module_that_parses(tmp_path):
    app = tmp_path / "app.mjs"
    app.write_bytes(files("server.console").joinpath("app.js").read_bytes())
    assert subprocess.run(["node", "--check", app], timeout=120, check=False).returncode == 0


def test_lines_come_whole_however_the_bytes_are_cut(node):
    script = """
    const bytes = new TextEncoder().encode('{"a":"é🙂"}\\n\\n{"b":1}\\nlast');
    result = [];
    for (let size = 1; size <= bytes.length; size += 1) {
      const stream = new ReadableStream({ start(controller) {
        for (let at = 0; at < bytes.length; at += size)
          controller.enqueue(bytes.slice(at, at + size));
        controller.close();
      } });
      const found = [];
      for await (const line of lines(stream)) found.push(line);
      result.push(found);
    }
    """
    found = node(script)
    assert len(found) > 20
    assert all(each == ['{"a":"é🙂"}', '{"b":1}', "last"] for each in found)


def test_a_run_shows_every_module_with_its_cost_and_its_sources(node, told):
    script = f"""{WATCH}
    result = {{
      rows: [...place.all("tr")].map((row) => row.children.map((cell) => cell.textContent)),
      links: [...place.all("a")].map((link) => link.attributes.href),
      ids: [...place.all("div")].map((each) => each.attributes.id).filter(Boolean),
      text: place.textContent,
    }};"""
    shown = node(script, told[0])
    _, filtered, entity, waiting, total = shown["rows"]
    assert filtered[0] == "filter"
    assert filtered[1].split() == [
        *("Low", "apply", "rules;", "no", "High:", "too", "dear"),
        *("1.00", "/", "0.00", "/", "0.00"),
    ]
    assert entity[0] == "entity"
    assert entity[1].startswith("High")
    assert "not ask reflective @ high: did not parse" in entity[1]
    assert entity[2:] == ["10 → 3", "2", "4.5"]
    assert waiting == ["summary", "waits"]
    assert total[0] == "in all"
    assert total[2:] == ["15 → 3", "3", "12"]
    assert shown["links"] == ["#run1-c1", "#run1-c1"]
    assert shown["ids"] == ["run1-c1"]
    assert "Ana booked in May." in shown["text"]
    assert "a note" in shown["text"]


def test_a_run_that_failed_has_nothing_that_waits(node, told):
    events = told[0].splitlines()[:2]
    script = f"""{WATCH}
    run.failed("it broke");
    result = [...place.all("tr")].map((row) => row.children.map((cell) => cell.textContent));
    """
    _, (first, *_), *rest = node(script, "\n".join(events))
    assert first == "filter"
    assert rest == [["entity", "not done"], ["summary", "not done"]]


def test_what_is_seen_of_a_source_is_in_its_name(node, told):
    script = f"""{WATCH}
    result = [...place.all("a")].map((link) => [link.textContent, link.attributes["aria-label"]]);
    """
    links = node(script, told[0])
    assert links
    assert all(seen in name for seen, name in links)


def test_an_answer_is_shown_with_what_it_cost(node, told):
    script = """
    new Run(place, "Answer", 1).answer(JSON.parse(input));
    const rows = [...place.all("tr")].map((row) => row.children[0].textContent);
    result = { text: place.textContent, rows };
    """
    shown = node(script, told[1])
    assert "In May." in shown["text"]
    assert shown["rows"] == ["Module", "filter", "entity", "answer", "in all"]


def test_what_looks_like_html_stays_text(node):
    evil = "<img src=x onerror=alert(1)>"
    chunk = {"id": evil, "session": evil, "time": "", "text": evil, "tokens": 1, "score": 0.5}
    finding = {"module": evil, "text": evil, "chunkIds": [evil]}
    usage = {"inputTokens": "0", "outputTokens": "0", "costUsd": 0, "milliseconds": 0}
    step = {"module": evil, "rung": evil, "usage": usage, "fallbacks": []}
    events = [
        {"retrieved": {"chunks": [chunk]}},
        {"moduleDone": {"step": step, "findings": [finding]}},
    ]
    script = f"""{WATCH}
    result = {{ images: [...place.all("img")].length, text: place.textContent,
      href: [...place.all("a")][0].attributes.href }};"""
    shown = node(script, "\n".join(map(json.dumps, events)))
    assert shown["images"] == 0
    assert shown["text"].count(evil) >= 5
    assert "<" not in shown["href"]


def test_budgets_leave_out_what_was_not_given(node):
    script = """
    const ceilings = budgetOf({ weight: "", usd: "0.5", ms: "" });
    result = [budgetOf({ weight: "0.25", usd: "", ms: "900" }), ceilings,
      threeBudgets(undefined, ceilings), threeBudgets({ min: 0, max: 0.9 }, ceilings)];
    """
    weighed, capped, tiers, weights = node(script)
    assert weighed == {"costWeight": 0.25, "maxLatencyMs": 900}
    assert capped == {"maxCostUsd": 0.5}
    assert [each["budget"]["tier"] for each in tiers] == ["TIER_LOW", "TIER_MID", "TIER_HIGH"]
    assert [each["budget"]["costWeight"] for each in weights] == [0.9, 0.45, 0]
    assert all(each["budget"]["maxCostUsd"] == 0.5 for each in tiers + weights)


TURN = {"id": "t1", "speaker": "Ana", "text": "Hi.", "time": "2024-01-14T18:05:00"}


@pytest.mark.parametrize(
    "given",
    [json.dumps([TURN | {"more": 1}]), json.dumps(TURN) + "\n\n", json.dumps(TURN) + "\r\n"],
)
def test_json_becomes_the_turns_that_the_server_takes(node, given):
    assert node("result = turnsOf(input);", given) == [TURN]


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        (" \n", "There is no conversation"),
        ("just words", "Line 1 names no speaker"),
        ('{"id": "t1"}', "Line 1 has no speaker, text"),
        ('[{"id": "t1", "speaker": "A", "text": "x"}, 3]', "Turn 2 has no id, speaker, text"),
        ('{"id": "t1",', "Line 1 is not JSON"),
        ("[1", "The conversation is not JSON"),
    ],
)
def test_what_is_no_conversation_is_refused_by_its_place(node, given, fault):
    script = "try { turnsOf(input); } catch (error) { result = error.message; }"
    assert node(script, given).startswith(fault)


@pytest.mark.parametrize(
    ("letter", "lengths", "expected"),
    [
        ("a", [10] * 450, [200, 200, 50]),
        ("a", [900_000] * 5, [2, 2, 1]),
        ("é", [450_000] * 5, [2, 2, 1]),
        ("a", [10, 5_000_000, 10, 10], [1, 1, 2]),
        ("a", [], []),
    ],
    ids=["turns", "bytes", "bytes of UTF-8", "one larger", "none"],
)
def test_batches_have_few_turns_and_few_bytes(node, letter, lengths, expected):
    script = """
    const [letter, lengths] = JSON.parse(input);
    const parts = [...batches(lengths.map((length, id) => ({ id, text: letter.repeat(length) })))];
    result = [parts.map((part) => part.length), parts.flat().map(({ id }) => id)];
    """
    found, ids = node(script, json.dumps([letter, lengths]))
    assert (found, ids) == (expected, list(range(len(lengths))))


def test_the_operating_point_is_on_the_line_between_what_was_measured(node):
    points = [
        {"costWeight": weight, "score": {"mean": score}, "costUsd": {"mean": cost}}
        for weight, score, cost in ((0.1, 0.5, 4.0), (0.3, 0.25, 2.0))
    ]
    script = """
    const points = JSON.parse(input);
    result = [0, 0.1, 0.15, 0.3, 0.9].map((at) => operatingPoint(points, at));
    """
    before, first, between, last, after = node(script, json.dumps(points))
    assert before == first == {"score": 0.5, "costUsd": 4, "measured": [0.1]}
    assert last == after == {"score": 0.25, "costUsd": 2, "measured": [0.3]}
    assert between["score"] == pytest.approx(0.4375)
    assert between["costUsd"] == pytest.approx(3.5)
    assert between["measured"] == [0.1, 0.3]


def test_metrics_are_summed_up_and_delays_are_those_since_the_last_look(node):
    def samples(calls, waited, seconds):
        told = [
            ("requests_total", {"code": "OK"}, calls),
            ("requests_total", {"code": "NOT_FOUND"}, 1),
            ("tokens_total", {"direction": "input"}, 1200),
            ("tokens_total", {"direction": "output"}, 34),
            ("queue_delay_seconds_count", {}, waited),
            ("queue_delay_seconds_sum", {}, seconds),
            ("breaker_state", {"backbone": "low"}, 0),
            ("breaker_state", {"backbone": "high"}, 2),
        ]
        return [{"name": f"budgetmem_{n}", "labels": la, "value": v} for n, la, v in told]

    looks = [samples(3, 10, 1.0), samples(5, 14, 1.5)]
    script = """
    const [before, now] = JSON.parse(input);
    result = [summary(before), summary(now, before)];
    """
    first, second = (
        {label: (value, note) for label, value, note in look}
        for look in node(script, json.dumps(looks))
    )
    assert first["Waiting"][1] == "none waited just now"
    assert second["Calls"] == ("6", "1 not OK, 0 in flight")
    assert second["Tokens"] == ("1,234", "34 of them written")
    assert second["Waiting"][1] == "125 ms on average just now"
    assert second["Breakers"] == ("1 not closed", "high open")
