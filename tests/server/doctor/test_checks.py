"""What is found of a machine, and what is advised."""

import socket
from dataclasses import replace

import pytest

from budgetmem.assets import AssetStatus
from budgetmem.config import load_profile
from budgetmem.errors import ConfigError
from server.doctor import checks
from server.doctor.checks import Level, Wanted, examine
from server.doctor.machine import Machine, free_bytes, nearest_folder, this_machine

FINE = Machine(
    python=(3, 11),
    system="Linux",
    processor="x86_64",
    cores=4,
    cpu_flags=frozenset({"avx2", "avx512f"}),
    memory_bytes=32 * 10**9,
    shared_memory_bytes=10**9,
    sqlite=(3, 45, 0),
    fts5=True,
)


@pytest.fixture
def installed(monkeypatch, tmp_path):
    """The assets' states, by name; all are installed unless a test says otherwise."""
    states = {}

    def status(names):
        return [
            AssetStatus(name, states.get(name, "installed"), tmp_path, 10**9, "", "", "")
            for name in names
        ]

    monkeypatch.setattr(checks, "status", status)
    return states


@pytest.fixture
def wanted(tmp_path, installed):
    return Wanted(load_profile("tiny"), tmp_path / "data", "127.0.0.1", 0)


def found(wanted, machine=FINE):
    return {finding.check: finding for finding in examine(wanted, machine)}


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
        ({"memory_bytes": 10**9}, "memory", Level.FAIL, "--profile tiny"),
        ({"shared_memory_bytes": 10**6}, "shared memory", Level.FAIL, "--shm-size"),
        ({"cpu_flags": frozenset({"avx2"})}, "cpu", Level.WARN, "42 tokens/s"),
        ({"sqlite": (3, 31, 0)}, "store", Level.FAIL, "3.38.0"),
        ({"fts5": False}, "store", Level.FAIL, "FTS5"),
    ],
)
def test_what_is_in_the_way_is_named(wanted, changes, check, level, advice):
    finding = found(wanted, replace(FINE, **changes))[check]
    assert finding.level is level
    assert advice in finding.advice


def test_what_cannot_be_told_is_no_fault(wanted):
    unknown = replace(FINE, memory_bytes=None, shared_memory_bytes=None, cpu_flags=frozenset())
    assert {finding.level for finding in found(wanted, unknown).values()} == {Level.OK}


def test_missing_assets_are_named_with_the_command(wanted, installed):
    name = wanted.profile.assets[0]
    installed[name] = "damaged"
    finding = found(wanted)["assets"]
    assert finding.level is Level.FAIL
    assert finding.found == f"{name} is damaged"
    assert finding.advice.startswith("budgetmem assets pull tiny  (1.0 GB)")


def test_a_full_disk_is_in_the_way_of_a_download(wanted, installed, monkeypatch):
    installed[wanted.profile.assets[0]] = "missing"
    monkeypatch.setattr(checks, "free_bytes", lambda path: 10**9)
    assert "BUDGETMEM_ASSETS" in found(wanted)["disk"].advice
    monkeypatch.setattr(checks, "free_bytes", lambda path: 3 * 10**9)
    assert "disk" not in found(wanted)


def test_a_triton_that_is_not_installed_says_what_to_install(wanted, monkeypatch):
    def missing():
        raise ConfigError("run pip install 'budgetmem[embedded]'")

    monkeypatch.setattr(checks, "find_install", missing)
    finding = found(wanted)["triton"]
    assert (finding.level, finding.found) == (
        Level.FAIL,
        "run pip install 'budgetmem[embedded]'",
    )


def test_with_a_triton_elsewhere_only_its_port_matters(wanted, installed):
    installed[wanted.profile.assets[0]] = "missing"
    poor = replace(FINE, system="Darwin", memory_bytes=1, shared_memory_bytes=1)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"127.0.0.1:{listening.getsockname()[1]}"
        findings = found(replace(wanted, triton_url=url), poor)
        assert {finding.level for finding in findings.values()} == {Level.OK}
        assert not {"assets", "memory", "shared memory", "cpu"} & set(findings)
    gone = found(replace(wanted, triton_url=url), poor)["triton"]
    assert gone.level is Level.FAIL
    assert url in gone.found


@pytest.mark.parametrize("url", ["triton", "triton:http", ":"])
def test_an_address_that_is_none_is_a_finding(wanted, url):
    assert found(replace(wanted, triton_url=url))["triton"].level is Level.FAIL


def test_a_taken_port_is_a_warning(wanted):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        finding = found(replace(wanted, port=port))["port"]
    assert finding.level is Level.WARN
    assert f"127.0.0.1:{port}" in finding.found


def test_an_address_of_another_machine_fails(wanted):
    assert found(replace(wanted, host="192.0.2.1"))["port"].level is Level.FAIL


def test_routers_need_libraries(wanted, monkeypatch):
    monkeypatch.setattr(checks, "find_spec", lambda name: None)
    finding = found(wanted)["routers"]
    assert finding.level is Level.WARN
    assert "pip install onnxruntime onnx" in finding.advice


def test_a_folder_that_cannot_be_written_is_named(wanted, monkeypatch):
    monkeypatch.setattr(checks.os, "access", lambda path, mode: False)
    assert "--data-dir" in found(wanted)["store"].advice


def test_this_machine_can_be_looked_at(tmp_path):
    machine = this_machine()
    assert machine.cores >= 1
    assert machine.fts5
    assert nearest_folder(tmp_path / "a" / "b") == tmp_path
    assert free_bytes(tmp_path / "a" / "b") > 0
