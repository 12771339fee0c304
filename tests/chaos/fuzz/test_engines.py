"""The engines find what was put there, name it, keep its input, and go on behind it."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from benchmarks.chaos.fuzz import processes
from benchmarks.chaos.fuzz.mutation import Inputs
from benchmarks.chaos.fuzz.recorder import name_of
from benchmarks.chaos.fuzz.suite import chosen, runners
from benchmarks.chaos.fuzz.verdict import name_of_death
from benchmarks.chaos.fuzz.worker import Job
from budgetmem import _core

pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def job(tmp_path):
    def make(target, inputs, engine="seeded"):
        return Job(f"tests.chaos.fuzz.planted:{target}", engine, 0, 0, inputs, str(tmp_path), "")

    return make


def test_inputs_can_be_made_again():
    inputs = Inputs(3, [b"an example", b"another one"], [b"word"], 64)
    assert [inputs[number] for number in range(50)] == [inputs[number] for number in range(50)]
    assert len({inputs[number] for number in range(50)}) > 40
    assert inputs[7] != Inputs(4, [b"an example", b"another one"], [b"word"], 64)[7]
    assert max(len(inputs[number]) for number in range(500)) <= 64
    assert any(b"word" in inputs[number] for number in range(500))
    assert any(inputs[number].startswith(b"an ex") for number in range(500))


def test_a_planted_bug_is_found_named_and_kept(job):
    told = []
    verdict = processes.run(job("RAISES", 3000), told.append)
    assert verdict.inputs == told[-1] == 3000
    names = sorted(finding.name for finding in verdict.findings)
    assert names[0].startswith("KeyError in _raises (planted.py:")
    assert names[1:] == ["broken: no input begins with 80"]
    for finding in verdict.findings:
        file = Path(finding.file)
        assert finding.count > 1
        assert file.read_bytes()[0] == (0x7F if "KeyError" in finding.name else 0x80)
        assert file.with_suffix(".txt").read_text(encoding="utf-8").startswith(finding.name)
        assert processes.replay(job("RAISES", 0), file) == 1
    again = processes.run(job("RAISES", 3000))
    assert again.findings == verdict.findings


def test_what_kills_the_process_is_found_and_the_rest_is_run(job):
    verdict = processes.run(job("DIES", 60))
    (found,) = verdict.findings
    assert found.name == "died: SIGSEGV"
    assert Path(found.file).read_bytes()[:1] < b"\x10"
    assert verdict.inputs == 60
    assert found.count == 2


def test_where_there_is_nothing_nothing_is_found(job):
    verdict = processes.run(job("HARMLESS", 500))
    assert (verdict.inputs, verdict.findings) == (500, ())
    assert verdict.report()["findings"] == ()
    assert "500 inputs by seeded" in str(verdict)


def test_a_target_that_cannot_begin_is_no_finding(job):
    with pytest.raises(RuntimeError, match="NOWHERE"):
        processes.run(job("NOWHERE", 10))


@pytest.mark.skipif(find_spec("atheris") is None, reason="needs atheris")
def test_atheris_finds_what_only_coverage_leads_to(job):
    verdict = processes.run(job("REMEMBERS", 300_000, "atheris"))
    (found,) = verdict.findings
    assert found.name.startswith("ValueError in _remembers")
    assert Path(found.file).read_bytes().startswith(b"BUG")


@pytest.mark.skipif(sys.platform != "linux", reason="ldd is Linux's")
def test_a_sanitized_module_finds_the_library_of_exceptions():
    (found,) = processes.preloads(_core.__file__).split()
    assert Path(found).name.startswith("libstdc++")


def test_findings_are_told_apart_by_where_they_passed_last():
    def outer(function):
        try:
            function()
        except KeyError as exc:
            return name_of(exc)

    assert outer(lambda: {}[1]).startswith("KeyError in <lambda> (test_engines.py:")


@pytest.mark.parametrize(
    ("code", "told", "name"),
    [
        (-11, "", "died: SIGSEGV"),
        (3, "", "died: exit code 3"),
        (1, "Timeout (0:05:00)!\nThread", "hung for 300 s"),
        (
            1,
            "x\nSUMMARY: AddressSanitizer: heap-use-after-free a.cpp:1\n",
            "died: AddressSanitizer",
        ),
    ],
)
def test_a_death_is_named(code, told, name):
    assert name_of_death(code, told).startswith(name)


def test_targets_are_chosen_by_pattern():
    assert set(chosen(["import-*.form", "core"])) == {
        "core",
        *(name for name in runners() if name.startswith("import-") and name.endswith(".form")),
    }
    assert chosen(["nothing"]) == {}
