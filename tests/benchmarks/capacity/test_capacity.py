"""The capacity model: its invariants, and that the documentation shows what it computes."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from statistics import mean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.capacity import tables
from benchmarks.capacity.__main__ import document
from benchmarks.capacity.growth import HOURS_A_MONTH, Operation, need
from benchmarks.capacity.hardware import CAUTIOUS, HOPEFUL, MODELS, Efficiency
from benchmarks.capacity.throughput import CREDITS, Device, mixed_gpu_seconds
from benchmarks.capacity.workload import (
    ANSWER,
    EXTRACTION,
    LIMITS,
    MEASURED,
    MEASURED_RETRIEVED,
    MIXES,
    REPLIES,
    RETRIEVED,
    Call,
    Tenant,
    calls,
)
from budgetmem.config import load_profile
from server.model_config import world_size
from training.rollouts import outcomes
from training.rollouts.paths import UNIFORM, planned, spell

ROOT = Path(__file__).parents[3]
RECORDING = ROOT / "training" / "recordings" / "small-implementation-train.jsonl.gz"
QUESTION = calls(EXTRACTION)
LOW, MID, HIGH = MODELS.values()

some_calls = st.builds(Call, st.integers(200, 8000), st.integers(1, 1000), st.integers(0, 200))
efficiencies = st.builds(Efficiency, *[st.floats(0.05, 1.0)] * 3)


@pytest.mark.parametrize("name", tables.TABLES)
def test_the_documentation_shows_what_is_computed(name):
    """`python -m benchmarks.capacity` prints them."""
    shown = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
    assert tables.TABLES[name]() in shown


@given(some_calls, efficiencies)
def test_a_larger_model_takes_longer(call, efficiency):
    seconds = [Device(model, efficiency).gpu_seconds([call]) for model in (LOW, MID)]
    assert 0 < seconds[0] < seconds[1]


def test_the_models_of_the_profile_are_in_the_order_of_their_tiers():
    for efficiency in (CAUTIOUS, HOPEFUL):
        seconds = [Device(each, efficiency).gpu_seconds(QUESTION) for each in (LOW, MID, HIGH)]
        assert seconds == sorted(seconds)


@given(some_calls, efficiencies, st.sampled_from(["prompt", "reply"]), st.integers(1, 500))
def test_more_tokens_take_longer(call, efficiency, what, more):
    device = Device(MID, efficiency)
    longer = replace(call, **{what: getattr(call, what) + more})
    assert device.gpu_seconds([longer]) > device.gpu_seconds([call])


@given(some_calls, efficiencies)
def test_what_a_cache_holds_is_not_read_again(call, efficiency):
    device = Device(LOW, efficiency)
    assert device.read_seconds(call) <= device.read_seconds(replace(call, cached=0))
    assert device.write_seconds(call) == device.write_seconds(replace(call, cached=0))


@given(some_calls, efficiencies, st.floats(1.01, 2))
def test_a_better_engine_is_never_slower(call, efficiency, factor):
    better = replace(
        efficiency,
        compute=efficiency.compute * factor,
        bandwidth=efficiency.bandwidth * factor,
    )
    assert Device(HIGH, better).gpu_seconds([call]) < Device(HIGH, efficiency).gpu_seconds([call])


@given(some_calls)
def test_as_many_replies_are_written_as_fit(call):
    device = Device(HIGH, CAUTIOUS)
    batch = device.sequences(call)
    assert 0 < batch <= CREDITS
    assert batch * HIGH.kv_bytes * call.context <= device.kv_memory


def test_a_model_that_does_not_fit_is_an_error():
    with pytest.raises(ValueError, match="does not fit on 1 H100"):
        _ = Device(replace(HIGH, gpus=1), CAUTIOUS).kv_memory


@pytest.mark.parametrize("name", MIXES)
def test_a_mix_is_between_its_cheapest_and_its_dearest(name):
    devices = {key: Device(model, CAUTIOUS) for key, model in MODELS.items()}
    shares = MIXES[name]
    assert sum(shares.values()) <= 1 + 1e-9
    seconds = mixed_gpu_seconds(devices, shares, QUESTION)
    dearest = max(devices[key].gpu_seconds(QUESTION) for key in shares)
    assert 0 < seconds <= dearest * (1 + 1e-9)


@given(st.integers(1, 10**6), st.integers(1, 10**6), st.floats(0.01, 10))
def test_more_tenants_never_need_less(some, more, seconds):
    fewer, all_of_them = need(some, Tenant(), seconds, 5), need(some + more, Tenant(), seconds, 5)
    for name in ("questions_a_second", "storage_bytes", "replicas", "gpus", "usd_a_month"):
        assert getattr(all_of_them, name) >= getattr(fewer, name)
    # Replicas are whole: the last one may be there for a single tenant.
    one_replica = Operation().replica_usd_an_hour * HOURS_A_MONTH / (some + more)
    assert all_of_them.usd_a_tenant_month <= fewer.usd_a_tenant_month + one_replica + 1e-9


def test_peaks_and_spares_are_paid_for():
    calm = need(10**6, Tenant(), 0.5, 5, Operation(peak=1.0))
    busy = need(10**6, Tenant(), 0.5, 5, Operation(peak=3.0))
    assert busy.gpus == pytest.approx(3 * calm.gpus)
    assert need(1, Tenant(), 0.5, 5).replicas == 2


def test_models_are_those_of_the_profile():
    profile = load_profile("gpu")
    for name, model in MODELS.items():
        entry = profile.backbones[name]
        assert entry.hub in model.source
        assert world_size(entry) == model.gpus
        assert entry.credits == CREDITS
    assert profile.retrieval.max_tokens == RETRIEVED


def test_limits_of_replies_are_those_of_the_profile():
    generation = load_profile("gpu").generation
    for part, limit in LIMITS.items():
        assert limit == getattr(generation, part, generation.findings)
        assert REPLIES[part] <= limit


def planned_leaves(recorded):
    """Without the questions and paths that were recorded for the cheap ones alone: these make
    prompts of answers look short."""
    for each in recorded.outcomes:
        own = set(map(spell, planned(each.question)))
        if own <= set(each.leaves):
            wanted = own | set(map(spell, UNIFORM))
            yield from ((path, leaf) for path, leaf in each.leaves.items() if path in wanted)


def test_tokens_are_those_that_were_recorded():
    recorded = outcomes.read(RECORDING)
    assert recorded.setting["max_tokens"] == MEASURED_RETRIEVED
    usd = recorded.setting["prices"]["high"][0] / 1e6
    tokens = {part: [] for part in (*EXTRACTION, *ANSWER)}
    for path, leaf in planned_leaves(recorded):
        # The answer is High's always; the first cost is that of retrieval.
        for letter, part, cost in zip(path + "H", tokens, leaf.costs_usd[1:], strict=True):
            # Another module's fall changes nothing of this one's call.
            if letter == "H" and part not in leaf.fell:
                tokens[part].append(cost / usd)
    assert {part: round(mean(found)) for part, found in tokens.items()} == MEASURED


def test_the_document_has_what_is_assumed_and_says_that_nothing_was_run():
    written = document()
    assert written["run_on_a_gpu"] is False
    assert set(written["gpu_seconds_a_question"]) == set(MIXES)
    assert len(written["growth"]) == len(tables.GROWTH_TENANTS) * len(tables.GROWTH_QUESTIONS)


def test_numbers_have_two_digits_that_count():
    assert [tables.short(each) for each in (0.0123, 1.0, 12.3, 4321, 0.5)] == [
        *("0.012", "1", "12", "4,300", "0.5")
    ]
    assert str(tables.Range(2.0, 2.0)) == "2"


def test_readers_are_told_that_nothing_was_run():
    shown = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
    assert re.search(r"[Nn]othing (here|of this) (has been|was) run on a GPU", shown)
