"""From a profile and its models to the engine behind the service."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from opentelemetry.trace import Tracer

from budgetmem import _core
from budgetmem.backbone import Caller, Encoder, Models
from budgetmem.backbone_config import AnyBackbone
from budgetmem.breakers import Breakers
from budgetmem.config import BackboneProfile, EncoderProfile, Price, Profile, TaggerProfile
from budgetmem.history import Histories
from budgetmem.info import (
    BackboneInfo,
    Limits,
    ModelPrice,
    RetrievalInfo,
    ServerInfo,
    StrategyInfo,
    TaskModelInfo,
)
from budgetmem.pipeline import Pipeline
from budgetmem.router import Router
from budgetmem.scheduling.plans import plan_of
from budgetmem.scheduling.tier_scheduler import TierScheduler
from budgetmem.stages import STAGES
from budgetmem.store.base import Size
from budgetmem.tiers import STRATEGIES, Tier
from budgetmem.tracing import NO_TRACER
from budgetmem.version import installed_version
from server.admission import AdmittedExtractor
from server.engine import Engine, Extractor
from server.erasure import ErasingHistories, ErasureLog, RecordFile
from server.errands import Errands
from server.routers import ServedRouters
from server.stores import FOLDER, OpenStore, folder_store
from server.weighing import session_places


def open_scheduler(profile: Profile, tracer: Tracer = NO_TRACER) -> TierScheduler:
    """A scheduler for the models of a profile, with a thread of its own until it is closed."""
    plan, queues = plan_of(profile)
    return TierScheduler(_core.Scheduler(plan), queues, tracer)


def open_histories(
    profile: Profile,
    models: Models,
    data_dir: Path,
    limits: Limits | None = None,
    opened: OpenStore | None = None,
) -> Histories:
    """The histories in `data_dir`, or in a store that is open, whose work is done on their tenants'
    account."""
    limits = limits or Limits()

    def encoder_of(caller: Caller) -> Encoder:
        return models.bound(caller).encoder

    opened = opened or folder_store(data_dir / FOLDER)
    most = Size(limits.history_turns, limits.history_bytes)
    return Histories(
        opened.store,
        models.encoder,
        profile.retrieval,
        encoder_of,
        most,
        threads=opened.threads,
        places=session_places(limits),
    )


def build_engine(
    profile: Profile,
    models: Models,
    data_dir: Path,
    forget: Callable[[str], None] = lambda tenant: None,
    *,
    scheduler: TierScheduler | None = None,
    routers: ServedRouters | None = None,
    breakers: Breakers | None = None,
    limits: Limits | None = None,
    tracer: Tracer = NO_TRACER,
    opened: OpenStore | None = None,
    errands: Errands | None = None,
) -> Engine:
    """The engine of one profile over the store in `data_dir`, or one that is `opened`.

    `forget` is called with a tenant after a deletion, so that nothing of the history stays in
    memory; a record of it goes to `data_dir`/erasures.jsonl, or into the database. Deletions are
    `errands`, which go on when their callers have left: close them before the models. With a
    `scheduler` requests wait in it until the pipeline has room. Without `routers` a fixed one
    chooses for every strategy. With `breakers` requests make do without models that are away.
    """
    limits = limits or Limits()
    opened = opened or folder_store(data_dir / FOLDER)
    histories = open_histories(profile, models, data_dir, limits, opened)
    routers = routers or ServedRouters(profile)
    pipeline: Extractor = Pipeline(
        profile, models, histories, routers, breakers=breakers, tracer=tracer
    )
    if scheduler is not None:
        pipeline = AdmittedExtractor(pipeline, scheduler, profile.retrieval.max_tokens)
    log = ErasureLog(opened.records or RecordFile(data_dir / "erasures.jsonl"))
    erasing = ErasingHistories(histories, forget, log, errands or Errands(), opened.threads)
    return Engine(erasing, pipeline, describe(profile, routers.default, limits), routers)


def describe(profile: Profile, router: Router, limits: Limits | None = None) -> ServerInfo:
    """What GetInfo tells of a profile. `router` chooses where a strategy has none of its own."""
    return ServerInfo(
        version=installed_version(),
        profile=profile.name,
        about=profile.about,
        backbones=tuple(
            _backbone(name, backbone, profile) for name, backbone in profile.backbones.items()
        ),
        answerer=profile.answerer,
        encoder=_task_model(profile.encoder),
        tagger=_task_model(profile.tagger),
        strategies=tuple(
            StrategyInfo(name, *(str(cells[tier]) for tier in Tier))
            for name, cells in STRATEGIES.items()
        ),
        modules=tuple(module for stage in STAGES.values() for module in stage),
        router=router.version,
        retrieval=RetrievalInfo(profile.retrieval.ranking, profile.retrieval.max_tokens),
        limits=limits or Limits(),
    )


def _backbone(name: str, backbone: AnyBackbone, profile: Profile) -> BackboneInfo:
    tiers = {tier.label: tier for tier in Tier}
    return BackboneInfo(
        name=name,
        tiers=tuple(tiers[label] for label in tiers if profile.tiers[label] == name),  # type: ignore[index]
        triton_model=backbone.triton_model if isinstance(backbone, BackboneProfile) else "",
        engine=backbone.engine,
        weights=backbone.weights,
        context=backbone.context,
        price=_price(backbone.price),
    )


def _task_model(model: EncoderProfile | TaggerProfile) -> TaskModelInfo:
    return TaskModelInfo(model.triton_model, model.asset, _price(model.price))


def _price(price: Price) -> ModelPrice:
    return ModelPrice(price.input, price.output, price.source)
