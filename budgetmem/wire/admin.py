"""What an administrator asks and is told."""

from __future__ import annotations

from collections.abc import Iterable

from budgetmem.errors import InvalidInput
from budgetmem.info import RouterVersion, Sample
from budgetmem.proto.budgetmem.v1 import admin_pb2 as pb
from budgetmem.tiers import STRATEGIES
from budgetmem.wire.scalars import decode_scalars, encode_scalars


def decode_reload(message: pb.ReloadRoutersRequest) -> str:
    """The strategy that is meant, empty for all. Raises InvalidInput for an unknown one."""
    if message.strategy and message.strategy not in STRATEGIES:
        known = ", ".join(STRATEGIES)
        raise InvalidInput("strategy", f"{message.strategy!r} is not one of {known}")
    return message.strategy


def encode_reloaded(routers: Iterable[RouterVersion]) -> pb.ReloadRoutersResponse:
    return pb.ReloadRoutersResponse(
        routers=[encode_scalars(router, pb.RouterVersion) for router in routers]
    )


def decode_reloaded(message: pb.ReloadRoutersResponse) -> tuple[RouterVersion, ...]:
    return tuple(decode_scalars(router, RouterVersion) for router in message.routers)


def encode_metrics(samples: Iterable[Sample]) -> pb.GetMetricsResponse:
    return pb.GetMetricsResponse(samples=[encode_scalars(each, pb.Sample) for each in samples])


def decode_metrics(message: pb.GetMetricsResponse) -> tuple[Sample, ...]:
    return tuple(Sample(each.name, dict(each.labels), each.value) for each in message.samples)
