"""The commands against real doors with a fake engine behind them."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from budgetmem import cli, errors
from budgetmem.commands.ingest import sniffed
from budgetmem.commands.query import parse_tiers
from budgetmem.tiers import Tier

JSONL = "\n".join(
    json.dumps({"id": f"t{i}", "speaker": "Ana", "text": f"line {i}"}) for i in range(3)
)


@pytest.fixture
def run(server):
    """Runs `budgetmem ARGUMENTS...` against the doors."""

    def invoke(*arguments, **kwargs):
        environment = {"BUDGETMEM_SERVER": server.address}
        return CliRunner(env=environment).invoke(cli.app, list(arguments), **kwargs)

    return invoke


@pytest.fixture
def chat(tmp_path):
    file = tmp_path / "chat.jsonl"
    file.write_text(JSONL)
    return str(file)


def test_ingest_list_export_delete(run, chat, tmp_path):
    result = run("ingest", "trip", chat)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("trip: 3 turns added, 0 unchanged; 3 chunks made")
    assert json.loads(run("ingest", "trip", chat, "--json").stdout)["unchanged"] == 3
    assert "trip" in run("histories").stdout
    exported = run("export", "trip").stdout
    assert [json.loads(line)["text"] for line in exported.splitlines()] == [
        "line 0",
        "line 1",
        "line 2",
    ]
    again = tmp_path / "again.jsonl"
    again.write_text(exported)
    assert json.loads(run("ingest", "trip", str(again), "--json").stdout)["unchanged"] == 3
    result = run("delete", "trip", "--yes")
    assert result.stdout == ("deleted 3 turns, 3 chunks and 3 vectors; a scan found 0 left\n")


def test_a_damaged_history_is_named_beside_the_others(run, chat, server):
    for history in ("trip", "work"):
        run("ingest", history, chat)
    server.histories.damaged.add("trip")
    result = run("histories")
    assert (result.exit_code, result.stderr) == (0, "damaged, restore or delete it: trip\n")
    assert "work" in result.stdout
    told = json.loads(run("histories", "--json").stdout)
    assert [(h["history"], h["turns"], h["damaged"]) for h in told] == [
        ("trip", 0, True),
        ("work", 3, False),
    ]
    assert run("delete", "trip", "--yes").exit_code == 0


def test_delete_asks_first(run, chat):
    run("ingest", "trip", chat)
    refused = run("delete", "trip", input="n\n")
    assert refused.exit_code == 1
    assert [h["history"] for h in json.loads(run("histories", "--json").stdout)] == ["trip"]
    assert run("delete", "trip", input="y\n").exit_code == 0


def test_some_turns_or_all_histories_are_deleted(run, chat):
    run("ingest", "trip", chat)
    result = run("delete", "trip", "--turn", "t0", "--turn", "t1", "--yes")
    assert result.stdout.startswith("deleted 2 turns, 2 chunks")
    assert result.stdout.endswith("a scan found 0 left (record r1)\n")
    asked = run("delete", "--all", "--tenant", "ana", input="n\n")
    assert "every history of tenant 'ana'" in asked.stderr
    proof = json.loads(run("delete", "--all", "--yes", "--json").stdout)
    assert (proof["turns"], proof["histories"]) == (1, 1)


@pytest.mark.parametrize(
    "arguments", [(), ("trip", "--all"), ("--turn", "t1"), ("--all", "--turn", "t1")]
)
def test_what_is_to_be_deleted_must_be_plain(run, arguments):
    assert run("delete", *arguments, "--yes").exit_code == 2


def test_extract_shows_steps_memory_and_totals(run):
    result = run("extract", "trip", "When?", "--tier", "high", "--tiers", "filter=low")
    assert result.exit_code == 0
    lines = [line.split() for line in result.stdout.splitlines()]
    assert lines[0][:3] == ["module", "tier", "rung"]
    assert ["filter", "low", "apply", "rules"] in [line[:4] for line in lines]
    assert ["total", "15", "3", "3e-06", "12"] in lines
    assert "ask reflective @ high: did not parse" in result.stdout
    assert result.stdout.endswith("memory:\nAna booked in May.\n")


def test_options_reach_the_pipeline(run, server):
    run(
        *("extract", "trip", "When?", "--tier", "high", "--tiers", "filter=low"),
        *("--strategy", "capacity", "--cost-weight", "0.5", "--max-cost-usd", "2e-5"),
        *("--max-latency-ms", "900", "--max-tokens", "200", "--asked-at", "2024-01-02"),
        *("--tenant", "acme"),
    )
    [request] = server.pipeline.requests
    assert (request.tenant, request.strategy, request.max_tokens) == ("acme", "capacity", 200)
    budget = request.budget
    assert (budget.cost_weight, budget.max_cost_usd, budget.max_latency_ms) == (0.5, 2e-5, 900)
    assert (budget.tiers["filter"], budget.tiers["summary"]) == (Tier.LOW, Tier.HIGH)
    assert request.asked_at.isoformat() == "2024-01-02T00:00:00"


@pytest.mark.parametrize("command", ["extract", "answer"])
@pytest.mark.parametrize(("given", "arrives"), [((), None), (("--cost-weight", "0"), 0.0)])
def test_a_cost_weight_of_zero_is_not_the_absence_of_one(run, server, command, given, arrives):
    run(command, "trip", "When?", *given)
    assert server.pipeline.requests[0].budget.cost_weight == arrives


def test_a_time_may_have_an_offset(run, server):
    run("extract", "trip", "When?", "--asked-at", "2024-01-02T10:00:00+02:00")
    assert server.pipeline.requests[0].asked_at.isoformat() == "2024-01-02T10:00:00+02:00"


def test_stream_shows_steps_as_they_end(run):
    lines = run("extract", "trip", "When?", "--stream").stdout.splitlines()
    assert lines[:3] == ["retrieved 1 chunks", "filter: low, apply rules", "  - kept"]
    events = run("extract", "trip", "When?", "--stream", "--json").stdout.splitlines()
    assert [json.loads(line)["event"] for line in events] == [
        "RetrievedEvent",
        "StepEvent",
        "StepEvent",
        "Memory",
    ]


def test_answer_and_info(run):
    assert run("answer", "trip", "When?").stdout.endswith("answer: In May.\n")
    found = json.loads(run("answer", "trip", "When?", "--json").stdout)
    assert found["text"] == "In May."
    assert found["receipt"]["steps"][0]["choice"] == {
        "tier": "low",
        "probabilities": [1.0, 0.0, 0.0],
        "masked": {"high": "too dear"},
        "cost_weight": None,
    }
    shown = run("info").stdout
    assert "backbone_low" in shown
    strategy = ["capacity", "fixed-mid", "ask", "a", "ask", "b", "ask", "c"]
    assert strategy in [line.split() for line in shown.splitlines()]
    assert json.loads(run("info", "--json").stdout)["limits"]["query_bytes"] == 32768


def test_info_tells_the_range_of_a_trained_router(run):
    assert json.loads(run("info", "--json").stdout)["cost_weights"] == {}
    run("router", "reload")
    strategy = ["capacity", "capacity-00000001", "0", "to", "0.9", "ask", "a", "ask", "b"]
    assert strategy in [line.split()[:9] for line in run("info").stdout.splitlines()]
    found = json.loads(run("info", "--json").stdout)
    assert found["cost_weights"] == {"capacity": {"min": 0.0, "max": 0.9}}


def test_a_bad_field_is_named(run):
    result = run("extract", "trip", "When?", "--cost-weight", "-1", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["error"] == {
        "code": "INVALID_INPUT",
        "message": "budget.cost_weight: is -1.0, must be a finite number >= 0",
        "field": "budget.cost_weight",
    }


def test_an_unknown_history_comes_with_a_hint(run):
    result = run("export", "nothing")
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        "error: no history 'nothing'",
        "hint: `budgetmem histories` lists what there is",
    ]


def test_exit_codes(run, server):
    assert run("histories", "--server", "127.0.0.1:1").exit_code == 3
    assert run("extract", "trip", "When?", "--tiers", "filter").exit_code == 2
    assert run("extract", "trip", "When?", "--tier", "best").exit_code == 2
    assert run("ingest", "trip", "no-such-file.jsonl").exit_code == 2
    server.pipeline.failure = errors.BudgetTooSmall("budget.max_cost_usd: more")
    assert run("answer", "trip", "When?").exit_code == 1


def test_what_was_said_gives_a_terminal_no_orders(run, tmp_path):
    file = tmp_path / "evil.jsonl"
    file.write_text(json.dumps({"id": "t1", "speaker": "Ana", "text": "\x1b]0;mine\x07 hello"}))
    assert run("ingest", "\x1b[31mred", str(file)).exit_code == 0
    shown = run("histories").stdout
    assert "[31mred" in shown
    assert "\x1b" not in shown
    (tmp_path / "c1.jsonl").write_text(json.dumps({"id": "t", "speaker": "A", "text": "\x9b31m"}))
    assert run("ingest", "c1", str(tmp_path / "c1.jsonl")).exit_code == 0
    exported = run("export", "c1").stdout
    assert json.loads(exported)["text"] == "\x9b31m"
    assert "\x9b" not in exported


def test_a_file_of_no_history_is_named(run, tmp_path):
    file = tmp_path / "none.json"
    file.write_text("[]")
    result = run("ingest", "trip", str(file), "--format", "locomo")
    assert result.exit_code == 1
    assert "none.json: holds no history" in result.stderr


def test_a_file_of_several_histories_asks_which(run, tmp_path):
    sample = {
        "conversation": {
            "speaker_a": "Ana",
            "speaker_b": "Bo",
            "session_1_date_time": "1:56 pm on 8 May, 2023",
            "session_1": [{"speaker": "Ana", "dia_id": "D1:1", "text": "hello"}],
        },
        "qa": [],
    }
    file = tmp_path / "many.json"
    file.write_text(json.dumps([{"sample_id": f"conv-{i}", **sample} for i in (1, 2)]))
    result = run("ingest", "trip", str(file))
    assert result.exit_code == 2
    assert "conv-1, conv-2" in result.stderr
    assert run("ingest", "trip", str(file), "--select", "conv-2").exit_code == 0
    assert run("ingest", "trip", str(file), "--select", "conv-3").exit_code == 1


@pytest.mark.parametrize(
    ("name", "text", "format_"),
    [
        ("a.json", '[{"qa": [], "conversation": {"session_1": [{"dia_id": "D1:1"}]}}]', "locomo"),
        ("a.json", '[{"haystack_sessions": []}]', "longmemeval"),
        ("a.jsonl", '{"haystack_sessions": []}', "longmemeval"),
        ("a.json", '[{"supporting_facts": []}]', "hotpotqa"),
        ("a.jsonl", '{"id": "1"}', "jsonl"),
        ("a.txt", "Ana: hi", "transcript"),
    ],
)
def test_formats_are_told_apart(tmp_path, name, text, format_):
    file = tmp_path / name
    file.write_text(text)
    assert sniffed(file) == format_


def test_tiers_by_module():
    assert parse_tiers("") == {}
    assert parse_tiers("filter=low, entity=high") == {"filter": Tier.LOW, "entity": Tier.HIGH}
