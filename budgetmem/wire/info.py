"""What a server tells about itself."""

from __future__ import annotations

from budgetmem.info import (
    BackboneInfo,
    CostWeights,
    Frontier,
    FrontierPoint,
    Interval,
    Limits,
    ModelPrice,
    RetrievalInfo,
    ServerInfo,
    StrategyInfo,
    TaskModelInfo,
)
from budgetmem.proto.budgetmem.v1 import memory_pb2 as pb
from budgetmem.wire.scalars import decode_scalars, encode_scalars
from budgetmem.wire.values import TIERS, decode_tier, sent_by_server


def encode_info(info: ServerInfo) -> pb.GetInfoResponse:
    return pb.GetInfoResponse(
        version=info.version,
        profile=info.profile,
        about=info.about,
        backbones=map(_encode_backbone, info.backbones),
        answerer=info.answerer,
        encoder=_encode_task_model(info.encoder),
        tagger=_encode_task_model(info.tagger),
        strategies=[encode_scalars(strategy, pb.StrategyInfo) for strategy in info.strategies],
        modules=info.modules,
        router=info.router,
        retrieval=encode_scalars(info.retrieval, pb.RetrievalInfo),
        limits=encode_scalars(info.limits, pb.Limits),
        routers=info.routers,
        cost_weights={
            strategy: encode_scalars(weights, pb.CostWeights)
            for strategy, weights in info.cost_weights.items()
        },
        frontiers={
            strategy: _encode_frontier(frontier) for strategy, frontier in info.frontiers.items()
        },
    )


@sent_by_server()
def decode_info(message: pb.GetInfoResponse) -> ServerInfo:
    return ServerInfo(
        version=message.version,
        profile=message.profile,
        about=message.about,
        backbones=tuple(map(_decode_backbone, message.backbones)),
        answerer=message.answerer,
        encoder=_decode_task_model(message.encoder),
        tagger=_decode_task_model(message.tagger),
        strategies=tuple(decode_scalars(s, StrategyInfo) for s in message.strategies),
        modules=tuple(message.modules),
        router=message.router,
        retrieval=decode_scalars(message.retrieval, RetrievalInfo),
        limits=decode_scalars(message.limits, Limits),
        routers=dict(message.routers),
        cost_weights={
            strategy: decode_scalars(weights, CostWeights)
            for strategy, weights in message.cost_weights.items()
        },
        frontiers={
            strategy: _decode_frontier(frontier) for strategy, frontier in message.frontiers.items()
        },
    )


def _encode_backbone(info: BackboneInfo) -> pb.BackboneInfo:
    return pb.BackboneInfo(
        name=info.name,
        tiers=[TIERS[tier] for tier in info.tiers],
        triton_model=info.triton_model,
        engine=info.engine,
        weights=info.weights,
        context=info.context,
        price=encode_scalars(info.price, pb.Price),
    )


def _decode_backbone(message: pb.BackboneInfo) -> BackboneInfo:
    return BackboneInfo(
        name=message.name,
        tiers=tuple(decode_tier(tier, "backbone.tiers") for tier in message.tiers),
        triton_model=message.triton_model,
        engine=message.engine,
        weights=message.weights,
        context=message.context,
        price=decode_scalars(message.price, ModelPrice),
    )


def _encode_task_model(info: TaskModelInfo) -> pb.TaskModelInfo:
    return pb.TaskModelInfo(
        triton_model=info.triton_model,
        weights=info.weights,
        price=encode_scalars(info.price, pb.Price),
    )


def _decode_task_model(message: pb.TaskModelInfo) -> TaskModelInfo:
    return TaskModelInfo(
        triton_model=message.triton_model,
        weights=message.weights,
        price=decode_scalars(message.price, ModelPrice),
    )


def _encode_frontier(frontier: Frontier) -> pb.Frontier:
    return pb.Frontier(
        dataset=frontier.dataset,
        profile=frontier.profile,
        questions=frontier.questions,
        points=[
            pb.FrontierPoint(
                cost_weight=point.cost_weight,
                score=encode_scalars(point.score, pb.Interval),
                cost_usd=encode_scalars(point.cost_usd, pb.Interval),
            )
            for point in frontier.points
        ],
    )


def _decode_frontier(message: pb.Frontier) -> Frontier:
    return Frontier(
        dataset=message.dataset,
        profile=message.profile,
        questions=message.questions,
        points=tuple(
            FrontierPoint(
                point.cost_weight,
                decode_scalars(point.score, Interval),
                decode_scalars(point.cost_usd, Interval),
            )
            for point in message.points
        ),
    )
