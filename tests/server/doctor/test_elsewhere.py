"""Endpoints whose key or server is away: `budgetmem serve` would not start."""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path

import pytest

from budgetmem.config import load_profile
from server.doctor.findings import Level
from tests.server.doctor.machines import found

ENDPOINT = Path(__file__).parents[3] / "examples" / "endpoint.toml"


@pytest.fixture
def listening():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


@pytest.fixture
def look(wanted):
    """What is found of the example's endpoint at an address, with other changes."""
    profile = load_profile(str(ENDPOINT))

    def at(base_url, **changes):
        changed = profile.endpoints["served"].model_copy(update={"base_url": base_url, **changes})
        backbones = {**profile.backbones, "served": changed}
        mixed = profile.model_copy(update={"backbones": backbones})
        return found(replace(wanted, profile=mixed))["endpoints"]

    return at


def url_of(server):
    return f"http://127.0.0.1:{server.getsockname()[1]}/v1"


def test_a_profile_without_endpoints_has_no_finding(wanted):
    assert "endpoints" not in found(wanted)


def test_a_key_that_is_not_in_the_environment_names_its_variable(look, listening, monkeypatch):
    monkeypatch.delenv("VLLM_API_KEY", raising=False)
    finding = look(url_of(listening), api_key_env="VLLM_API_KEY")
    assert finding.level is Level.FAIL
    assert "put its key into the variable VLLM_API_KEY" in finding.found
    monkeypatch.setenv("VLLM_API_KEY", "sesame")
    finding = look(url_of(listening), api_key_env="VLLM_API_KEY")
    assert finding.level is Level.OK
    assert "sesame" not in repr(finding)


def test_an_address_where_nobody_listens_says_what_to_do(look, listening):
    url = url_of(listening)
    assert look(url).level is Level.OK
    listening.close()
    finding = look(url)
    assert finding.level is Level.FAIL
    assert "Connection refused" in finding.found
    assert "base_url of backbone 'served'" in finding.advice


def test_what_is_asked_through_a_proxy_is_not_tried(look, monkeypatch):
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    assert look("https://llm.invalid/v1").level is Level.OK
    monkeypatch.setenv("no_proxy", "llm.invalid")
    assert look("https://llm.invalid/v1").level is Level.FAIL
