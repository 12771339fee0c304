"""Spans reach a collector that speaks OTLP over gRPC."""

from __future__ import annotations

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as otlp
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as otlp_grpc

from budgetmem.errors import ConfigError
from budgetmem.tracing import NO_TRACER, traced
from server.observability.tracing import exporting

NOWHERE = "http://127.0.0.1:9"


class Collector(otlp_grpc.TraceServiceServicer):
    def __init__(self):
        self.spans = {}

    def Export(self, request, context):  # noqa: N802
        for of_resource in request.resource_spans:
            named = {each.key: each.value.string_value for each in of_resource.resource.attributes}
            for of_scope in of_resource.scope_spans:
                self.spans |= {span.name: named for span in of_scope.spans}
        return otlp.ExportTraceServiceResponse()


@pytest.fixture
def collector():
    collector, server = Collector(), grpc.server(ThreadPoolExecutor(1))
    otlp_grpc.add_TraceServiceServicer_to_server(collector, server)
    collector.url = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    yield collector
    server.stop(0)


async def test_without_an_endpoint_nothing_is_recorded():
    async with exporting(None, {}) as tracer:
        assert tracer is NO_TRACER


@pytest.mark.parametrize("url", ["nonsense://x", "localhost:4317", "http://", "http://a:99999"])
async def test_what_is_no_url_of_a_collector_is_told_at_once(url):
    with pytest.raises(ConfigError, match="--otlp-endpoint"):
        async with exporting(url, {}):
            pass


async def test_spans_arrive_by_the_end_of_the_block(collector):
    async with exporting(collector.url, {}) as tracer:
        with traced(tracer, "some work"):
            pass
    assert collector.spans["some work"]["service.name"] == "budgetmem"


async def test_the_environment_may_name_the_service(collector, monkeypatch):
    monkeypatch.setenv("OTEL_SERVICE_NAME", "memory-eu")
    async with exporting(collector.url, {}) as tracer:
        with traced(tracer, "some work"):
            pass
    assert collector.spans["some work"]["service.name"] == "memory-eu"


async def test_a_protocol_that_is_not_spoken_is_told():
    environment = {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}
    with pytest.raises(ConfigError, match="4317"):
        async with exporting(NOWHERE, environment):
            pass


async def test_a_missing_sdk_is_told_with_the_extra_that_has_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(ConfigError, match=r"budgetmem\[otel\]"):
        async with exporting(NOWHERE, {}):
            pass


async def test_a_collector_that_is_not_there_holds_up_the_end_no_longer_than_told(monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    async with exporting(NOWHERE, {}) as tracer:
        with traced(tracer, "some work"):
            pass
        begun = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - begun < 15
