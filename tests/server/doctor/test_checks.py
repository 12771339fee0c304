"""What is found of a machine, and what is advised."""

import re
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from budgetmem.config import load_profile
from budgetmem.errors import ConfigError
from server.doctor import checks
from server.doctor.findings import Level
from server.doctor.machine import free_bytes, nearest_folder, this_machine
from tests.server.doctor.machines import FINE, found


def test_a_good_machine_needs_no_advice(wanted):
    findings = found(wanted)
    assert {finding.level for finding in findings.values()} == {Level.OK}
    assert not any(finding.advice for finding in findings.values())


@pytest.mark.parametrize(
    ("changes", "check", "level", "advice"),
    [
        ({"python": (3, 9)}, "python", Level.FAIL, "3.10 or newer"),
        ({"python": (3, 14)}, "python", Level.WARN, "up to 3.13"),
        ({"system": "Darwin"}, "triton", Level.FAIL, "--triton-url"),
        ({"processor": "aarch64"}, "triton", Level.FAIL, "--triton-url"),
        ({"shared_memory_bytes": 10**6}, "shared memory", Level.FAIL, "--shm-size"),
        ({"cpu_flags": frozenset({"avx2"})}, "cpu", Level.WARN, "42 tokens/s"),
    ],
)
def test_what_is_in_the_way_is_named(wanted, changes, check, level, advice):
    finding = found(wanted, replace(FINE, **changes))[check]
    assert finding.level is level
    assert advice in finding.advice


@pytest.mark.parametrize(
    ("python", "said"), [((3, 11), "Python 3.11"), ((3, 13), "Python 3.13; tested is 3.11")]
)
def test_what_is_tested_is_not_more_than_the_readme_says(wanted, python, said):
    finding = found(wanted, replace(FINE, python=python))["python"]
    assert (finding.level, finding.found) == (Level.OK, said)
    readme = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
    stated = re.search(r"Python (3\.\d+) to (3\.\d+) \(tested: (3\.\d+)\)", readme)
    assert stated.groups() == tuple(
        ".".join(map(str, each)) for each in (*checks.PYTHONS, checks.TESTED)
    )


def test_what_cannot_be_told_is_no_fault(wanted):
    unknown = replace(FINE, memory_bytes=None, shared_memory_bytes=None, cpu_flags=frozenset())
    assert {finding.level for finding in found(wanted, unknown).values()} == {Level.OK}


def test_a_triton_that_is_not_installed_says_what_to_install(wanted, monkeypatch):
    def missing():
        raise ConfigError("run pip install 'budgetmem[embedded]'")

    monkeypatch.setattr(checks, "find_install", missing)
    finding = found(wanted)["triton"]
    assert (finding.level, finding.found) == (
        Level.FAIL,
        "run pip install 'budgetmem[embedded]'",
    )


def test_a_profile_that_the_embedded_triton_cannot_serve_fails(wanted, monkeypatch):
    monkeypatch.setattr(checks, "find_install", lambda: pytest.fail("it is of no use"))
    finding = found(replace(wanted, profile=load_profile("gpu")))["triton"]
    assert finding.level is Level.FAIL
    assert "no vLLM and no ONNX Runtime" in finding.found
    assert "--triton-url HOST:PORT" in finding.found


def test_with_a_triton_elsewhere_this_machine_may_be_poor(wanted):
    poor = replace(FINE, system="Darwin", memory_bytes=1, shared_memory_bytes=1)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"127.0.0.1:{listening.getsockname()[1]}"
        findings = found(replace(wanted, triton_url=url), poor)
        assert {finding.level for finding in findings.values()} == {Level.OK}
        assert not {"memory", "shared memory", "cpu"} & set(findings)
    gone = found(replace(wanted, triton_url=url), poor)["triton"]
    assert gone.level is Level.FAIL
    assert url in gone.found


@pytest.mark.parametrize("url", ["triton", "triton:http", ":"])
def test_an_address_that_is_none_is_a_finding(wanted, url):
    finding = found(replace(wanted, triton_url=url))["triton"]
    assert finding.level is Level.FAIL
    assert "is not HOST:PORT" in finding.found


def test_a_taken_port_is_a_warning(wanted):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        finding = found(replace(wanted, port=port))["port"]
    assert finding.level is Level.WARN
    assert f"127.0.0.1:{port}" in finding.found


@pytest.mark.usefixtures("ipv6")
@pytest.mark.parametrize("host", ["::1", "[::1]"])
def test_brackets_around_an_address_are_no_fault(wanted, host):
    finding = found(replace(wanted, host=host))["port"]
    assert (finding.level, finding.found) == (Level.OK, "[::1]:0 is free")


def test_an_address_of_another_machine_fails(wanted):
    finding = found(replace(wanted, host="192.0.2.1"))["port"]
    assert finding.level is Level.FAIL
    assert "an address of this machine by --host" in finding.advice


def test_this_machine_can_be_looked_at(tmp_path):
    machine = this_machine()
    assert machine.cores >= 1
    assert machine.fts5
    assert nearest_folder(tmp_path / "a" / "b") == tmp_path
    assert free_bytes(tmp_path / "a" / "b") > 0
