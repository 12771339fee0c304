"""From a profile to a plan."""

import pytest

from budgetmem.config import ENCODER, PIPELINE, TAGGER, Profile, load_profile
from budgetmem.scheduling.plans import plan_of
from budgetmem.scheduling.reference import Core


def changed(**scheduling) -> Profile:
    settings = load_profile("small").model_dump()
    settings["scheduling"] |= scheduling
    return Profile.model_validate(settings)


def test_every_stage_has_a_queue_for_each_model_that_works_in_it():
    plan, queues = plan_of(load_profile("small"))
    assert sorted(queues.values()) == list(range(len(plan.queues)))
    by_model = {
        model: {stage for stage, of in queues if of == model}
        for model in ("low", "mid", "high", ENCODER, TAGGER, PIPELINE)
    }
    asked = {"filter", "extract", "summary", "answer"}
    read = {"ingest", "retrieve", "filter", "extract", "summary"}
    assert by_model == {"low": asked, "mid": asked, "high": asked, ENCODER: read, TAGGER: read} | {
        PIPELINE: {"request"}
    }
    fed = {
        model: {plan.queues[queues[s, model]].backbone for s in by_model[model]}
        for model in by_model
    }
    assert fed == {"low": {0}, "mid": {1}, "high": {2}, ENCODER: {3}, TAGGER: {4}, PIPELINE: {5}}


def test_backbones_take_calls_and_task_models_take_batches():
    plan, _ = plan_of(load_profile("small"))
    *backbones, encoder, tagger, pipeline = plan.backbones
    assert {(b.credits, b.batch_items, b.pads) for b in backbones} == {(32, 1, False)}
    assert (encoder.credits, encoder.batch_items, encoder.batch_tokens, encoder.pads) == (
        2,
        32,
        4096,
        True,
    )
    assert (tagger.credits, tagger.batch_items, tagger.batch_tokens, tagger.pads) == (
        2,
        64,
        0,
        False,
    )
    assert (pipeline.credits, pipeline.batch_items) == (32, 1)


def test_a_call_takes_at_least_its_tokens_at_the_faster_speed():
    plan, _ = plan_of(load_profile("small"))
    assert [b.per_token for b in plan.backbones] == [10**9 // 3100, 10**6, 10**9 // 350, 0, 0, 0]
    assert {b.fixed for b in plan.backbones} == {0}


def test_the_scheduling_table_sets_times_and_shares():
    plan, _ = plan_of(changed(quantum=64, age_cap_s=1.5, leader_timeout_s=0.25))
    assert (plan.quantum, plan.age_cap) == (64, 1_500_000_000)
    assert {b.leader_timeout for b in plan.backbones[:3]} == {250_000_000}


def test_capacities_are_calls_or_full_batches():
    plan, queues = plan_of(changed(queue_capacity=10, tenant_capacity=3))
    capacities = {
        model: (
            plan.queues[queues["extract", model]].capacity,
            plan.queues[queues["extract", model]].tenant_capacity,
        )
        for model in ("high", ENCODER, TAGGER)
    }
    assert capacities == {"high": (10, 3), ENCODER: (320, 96), TAGGER: (640, 192)}


def test_backbones_of_one_processor_take_turns():
    plan, _ = plan_of(changed(device_turn_s=2.5))
    assert [b.device for b in plan.backbones] == [1, 1, 1, 0, 0, 0]
    assert plan.device_turn == 2_500_000_000


def test_devices_are_known_by_name():
    settings = load_profile("small").model_dump()
    for key, device in {"low": "a", "mid": None, "high": "b"}.items():
        settings["backbones"][key]["device"] = device
    plan, _ = plan_of(Profile.model_validate(settings))
    assert [b.device for b in plan.backbones[:3]] == [1, 0, 2]


def test_the_gpu_profile_has_the_credits_of_its_engine():
    plan, _ = plan_of(load_profile("gpu"))
    assert [b.credits for b in plan.backbones[:3]] == [256, 256, 256]


@pytest.mark.parametrize("name", ["gpu", "small", "tiny"])
def test_a_core_takes_every_bundled_plan(name: str):
    plan, queues = plan_of(load_profile(name))
    assert len(Core(plan).queue_stats()) == len(queues)
