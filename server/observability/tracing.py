"""From the address of a collector to a tracer, by OpenTelemetry's SDK (the extra `otel`)."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from opentelemetry.trace import Tracer

from budgetmem.errors import ConfigError
from budgetmem.tracing import NO_TRACER
from budgetmem.version import installed_version

NAME = "budgetmem"
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")


@asynccontextmanager
async def exporting(
    endpoint: str | None, environment: Mapping[str, str] = os.environ
) -> AsyncIterator[Tracer]:
    """A tracer whose spans go to `endpoint`; one that records nothing without an endpoint.

    At the end of the block the spans that wait are sent. Sampling, headers, certificates and
    resource attributes are the SDK's, by the variables OTEL_*.

    Raises ConfigError if the SDK is not installed, another protocol than gRPC is asked for, or the
    endpoint is no URL of a collector.
    """
    if endpoint is None:
        yield NO_TRACER
        return
    _check_protocol(environment)
    _check_url(endpoint)
    # Imported here: a server without traces does not need the SDK, nor its time and memory.
    try:
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import (  # noqa: PLC0415
            OTLPSpanExporter,
        )
        from opentelemetry.sdk.resources import OTELResourceDetector, Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ImportError as exc:
        raise ConfigError(
            f"traces need OpenTelemetry's SDK and exporter ({exc}): pip install 'budgetmem[otel]'"
        ) from exc
    own = Resource.create({"service.name": NAME, "service.version": installed_version()})
    # The environment's say comes last, so that OTEL_SERVICE_NAME has an effect.
    provider = TracerProvider(resource=own.merge(OTELResourceDetector().detect()))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
    try:
        yield provider.get_tracer(NAME, installed_version())
    finally:
        await asyncio.to_thread(provider.shutdown)


def _check_url(endpoint: str) -> None:
    """The exporter takes anything, and tells of every batch of spans that it cannot send."""
    try:
        parts = urlsplit(endpoint)
        _ = parts.port  # a port out of range is told where it is asked for
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        usable = False
    if not usable:
        raise ConfigError(
            f"--otlp-endpoint {endpoint}: traces are sent to a URL such as http://localhost:4317"
        )


def _check_protocol(environment: Mapping[str, str]) -> None:
    for name in PROTOCOLS:
        if environment.get(name, "grpc") != "grpc":
            raise ConfigError(
                f"{name}={environment[name]}: traces are sent by gRPC alone; set it to grpc, and "
                "the endpoint to the collector's gRPC port (4317 as a rule)"
            )
