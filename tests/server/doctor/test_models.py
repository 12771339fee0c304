"""Where `budgetmem serve` would not start for its models, the doctor says so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from budgetmem import bundled_routers
from budgetmem.assets import load_catalogue
from budgetmem.config import load_profile
from server.doctor import models
from server.doctor.findings import Level
from tests.server.doctor.machines import FINE, found

ENDPOINT = Path(__file__).parents[3] / "examples" / "endpoint.toml"


@pytest.fixture
def without(monkeypatch):
    """Makes a Python package one that is not installed."""

    def remove(*names):
        def find_spec(name):
            return None if name in names else name

        monkeypatch.setattr(models, "find_spec", find_spec)
        monkeypatch.setattr(bundled_routers, "find_spec", find_spec)

    return remove


@pytest.fixture
def gpu(wanted, monkeypatch, tmp_path):
    """The profile `gpu`, and the tokenizers that are in the hub cache, by their models."""
    cached = set()
    monkeypatch.setattr(
        models, "cached_tokenizer", lambda hub_id: tmp_path if hub_id in cached else None
    )
    return replace(wanted, profile=load_profile("gpu"), triton_url="127.0.0.1:1"), cached


def test_missing_assets_are_named_with_the_command(wanted, installed):
    name = wanted.profile.assets[0]
    installed[name] = "damaged"
    finding = found(wanted)["assets"]
    assert finding.level is Level.FAIL
    assert finding.found == f"{name} is damaged"
    assert finding.advice == f"budgetmem assets pull {name}  (1.0 GB)"


def test_what_a_profile_of_ones_own_lacks_can_be_pulled(wanted, installed):
    own = load_profile(str(ENDPOINT))
    installed.update(dict.fromkeys(own.assets, "missing"))
    advice = found(replace(wanted, profile=own))["assets"].advice
    words = advice.partition("  (")[0].split()
    assert words[:3] == ["budgetmem", "assets", "pull"]
    assert words[3:] == list(own.assets)
    assert set(words[3:]) <= load_catalogue().keys()


def test_a_full_disk_is_in_the_way_of_a_download(wanted, installed, monkeypatch):
    installed[wanted.profile.assets[0]] = "missing"
    monkeypatch.setattr(models, "free_bytes", lambda path: 10**9)
    assert "BUDGETMEM_ASSETS" in found(wanted)["disk"].advice
    monkeypatch.setattr(models, "free_bytes", lambda path: 3 * 10**9)
    assert "disk" not in found(wanted)


def test_a_triton_elsewhere_has_the_weights_but_not_the_tokenizers(wanted, installed):
    elsewhere = replace(wanted, triton_url="127.0.0.1:1")
    installed[wanted.profile.tagger.asset] = "missing"
    assert found(elsewhere)["assets"].level is Level.OK
    installed[wanted.profile.encoder.asset] = "missing"
    finding = found(elsewhere)["assets"]
    assert finding.level is Level.FAIL
    assert finding.advice.startswith(f"budgetmem assets pull {wanted.profile.encoder.asset}  (")


def test_the_tokenizers_of_local_backbones_are_needed_too(wanted, installed):
    [backbone] = {each.asset for each in wanted.profile.on_triton.values()}
    installed[backbone] = "outdated"
    assert found(replace(wanted, triton_url="127.0.0.1:1"))["assets"].level is Level.FAIL


def test_prompts_that_are_counted_in_bytes_are_a_warning(gpu):
    wanted, cached = gpu
    finding = found(wanted)["tokenizers"]
    assert finding.level is Level.WARN
    assert finding.advice.startswith("hf download meta-llama/")
    cached.update(each.hub for each in wanted.profile.on_triton.values())
    assert "tokenizers" not in found(wanted)


def test_a_tokenizer_file_that_is_not_there_or_broken_fails(wanted, tmp_path):
    profile = load_profile(str(ENDPOINT))
    file = tmp_path / "tokenizer.json"
    backbones = {
        key: each.model_copy(update={"tokenizer": str(file)} if key in profile.endpoints else {})
        for key, each in profile.backbones.items()
    }
    mixed = replace(wanted, profile=profile.model_copy(update={"backbones": backbones}))
    assert found(mixed)["tokenizers"].level is Level.FAIL
    file.touch()
    assert found(mixed)["tokenizers"].level is Level.FAIL
    Tokenizer(WordLevel()).save(str(file))
    assert "tokenizers" not in found(mixed)


def test_too_little_memory_names_the_lighter_profile(wanted):
    finding = found(wanted, replace(FINE, memory_bytes=10**9))["memory"]
    assert finding.level is Level.FAIL
    assert "--profile tiny" in finding.advice


def test_without_bundled_routers_libraries_are_a_choice(wanted, without):
    without("onnx", "onnxruntime")
    for bundle in (None, "tiny"):
        finding = found(replace(wanted, bundle=bundle))["routers"]
        assert finding.level is Level.WARN
        assert "pip install onnx onnxruntime" in finding.advice


def test_bundled_routers_that_cannot_run_fail_and_the_advice_names_the_way_out(wanted, without):
    without("onnxruntime")
    finding = found(replace(wanted, bundle="small"))["routers"]
    assert (finding.level, finding.found) == (Level.FAIL, "onnxruntime not installed")
    assert "--no-bundled-routers" in finding.advice
    without()
    assert found(replace(wanted, bundle="small"))["routers"].level is Level.OK
