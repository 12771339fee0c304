"""From a profile to the scheduler's plan: which queues there are, and what feeds on them."""

from __future__ import annotations

from collections.abc import Mapping

from budgetmem.backbone_config import AnyBackbone
from budgetmem.config import (
    ENCODER,
    PIPELINE,
    TAGGER,
    EncoderProfile,
    Profile,
    SchedulingProfile,
    TaggerProfile,
)
from budgetmem.scheduling.interface import BackbonePlan, Plan, QueuePlan
from budgetmem.stages import ANSWER, INGEST, REQUEST, RETRIEVE, STAGES

LLM_STAGES = (*STAGES, ANSWER)
TASK_STAGES = (INGEST, RETRIEVE, *STAGES)
NANOSECONDS = 1_000_000_000


def plan_of(profile: Profile) -> tuple[Plan, dict[tuple[str, str], int]]:
    """The plan of a profile, and the index of the queue of each (stage, model).

    Models are the keys of the profile's backbones, in order, then ENCODER, TAGGER and PIPELINE:
    the pipeline itself takes so many requests at a time.
    """
    scheduling = profile.scheduling
    devices = {each.device: None for each in profile.backbones.values() if each.device is not None}
    numbers = {name: number for number, name in enumerate(devices, start=1)}
    models: dict[str, BackbonePlan] = {
        key: _backbone(each, scheduling, numbers) for key, each in profile.backbones.items()
    }
    models[ENCODER] = _encoder(profile.encoder)
    models[TAGGER] = _tagger(profile.tagger)
    models[PIPELINE] = BackbonePlan(credits=scheduling.requests)
    stages = {ENCODER: TASK_STAGES, TAGGER: TASK_STAGES, PIPELINE: (REQUEST,)}
    names = [(stage, model) for model in models for stage in stages.get(model, LLM_STAGES)]
    plan = Plan(
        backbones=tuple(models.values()),
        queues=tuple(_queue(model, models, scheduling) for _, model in names),
        quantum=scheduling.quantum,
        age_cap=_nanoseconds(scheduling.age_cap_s),
        device_turn=_nanoseconds(scheduling.device_turn_s),
    )
    return plan, {name: index for index, name in enumerate(names)}


def _backbone(
    profile: AnyBackbone, scheduling: SchedulingProfile, devices: Mapping[str, int]
) -> BackbonePlan:
    # As if all tokens were of the faster kind: never more than the estimate by which the ledger
    # admitted the call, so that nothing is dropped that it would let through.
    per_token = 1 / max(profile.speed.prefill, profile.speed.decode)
    return BackbonePlan(
        credits=profile.credits,
        per_token=int(per_token * NANOSECONDS),
        leader_timeout=_nanoseconds(scheduling.leader_timeout_s),
        device=0 if profile.device is None else devices[profile.device],
    )


def _encoder(profile: EncoderProfile) -> BackbonePlan:
    return BackbonePlan(
        credits=profile.credits,
        batch_items=profile.batch_items,
        batch_tokens=profile.batch_tokens,
        pads=True,
    )


def _tagger(profile: TaggerProfile) -> BackbonePlan:
    return BackbonePlan(credits=profile.credits, batch_items=profile.batch_items)


def _queue(
    model: str, models: Mapping[str, BackbonePlan], scheduling: SchedulingProfile
) -> QueuePlan:
    """The queue of one stage's work for a model; capacities become texts where it takes batches."""
    items = models[model].batch_items
    return QueuePlan(
        backbone=list(models).index(model),
        capacity=scheduling.queue_capacity * items,
        tenant_capacity=scheduling.tenant_capacity * items,
    )


def _nanoseconds(seconds: float) -> int:
    return int(seconds * NANOSECONDS)
