"""Watches every call at the outermost place: metrics, a span, a line of log, the request id.

It changes nothing: cancellations, errors and statuses pass through as they come.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import aclosing, contextmanager
from typing import Any, cast

import grpc
from google.protobuf.message import Message
from opentelemetry import context as otel
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from prometheus_client import CollectorRegistry

from server.errors import Context, Handler, Stream, Unary
from server.observability import catalogue
from server.observability.calls import REQUEST_ID_KEY, Call, begin, request_id_of, text_headers
from server.security.permissions import SCOPES, is_open

logger = logging.getLogger("access")

OTHER = "/other"
"""What calls of methods are taken for that are not in the protos: callers make up their names."""

LATE_S = 0.1
"""A call whose caller leaves so shortly before its deadline, or later, was late: the two clocks did
not start at the same moment, and a caller whose deadline passes leaves as one that cancels does."""

SERVERS_FAULT = frozenset(
    {
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
    }
)
"""Statuses that make a server's span an error (OpenTelemetry's conventions for gRPC)."""

_W3C = TraceContextTextMapPropagator()


class CallMetrics:
    """What is counted of calls."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.ended = catalogue.REQUESTS.counter(registry)
        self.duration = catalogue.REQUEST_DURATION.histogram(registry, catalogue.SECONDS)
        self.in_flight = catalogue.REQUESTS_IN_FLIGHT.gauge(registry)


class CallWatch(grpc.aio.ServerInterceptor):
    """The interceptor, to be the first of all. `clock` returns seconds.

    A call's request id comes back in its trailing metadata. Calls that are refused are watched like
    others. Probes of health and reflection are not: they are not work.
    """

    def __init__(
        self, metrics: CallMetrics, tracer: Tracer, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._metrics = metrics
        self._tracer = tracer
        self._clock = clock

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Any],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        handler: Handler | None = await continuation(handler_call_details)
        path = handler_call_details.method
        if handler is None or is_open(path):
            return handler
        metadata = tuple(handler_call_details.invocation_metadata or ())
        codec = (handler.request_deserializer, handler.response_serializer)
        # The stubs describe the handlers of threaded servers; ours are coroutines.
        # All of them are to read their message themselves (`server.arrival`), or are refusals
        # (`server.errors.refusal`), which read none: they are watched while it comes.
        if handler.response_streaming:
            stream: Any = self._watched_stream(path, metadata, cast(Stream, handler.stream_stream))
            return grpc.stream_stream_rpc_method_handler(stream, *codec)
        unary: Any = self._watched(path, metadata, cast(Unary, handler.stream_unary))
        return grpc.stream_unary_rpc_method_handler(unary, *codec)

    def refused(
        self, path: str, metadata: Iterable[tuple[str, str | bytes]], code: grpc.StatusCode
    ) -> None:
        """Tells of a call that another door refused, so that it never came here."""
        call, span = self._begin(path, tuple(metadata))
        self._end(call, code, 0.0, span)

    def _watched(
        self, path: str, metadata: Iterable[tuple[str, str | bytes]], behaviour: Unary
    ) -> Unary:
        async def watched(request: Message, context: Context) -> Message:
            with self._watch(path, metadata, context):
                return await behaviour(request, context)

        return watched

    def _watched_stream(
        self, path: str, metadata: Iterable[tuple[str, str | bytes]], behaviour: Stream
    ) -> Stream:
        async def watched(request: Message, context: Context) -> AsyncGenerator[Message, None]:
            with self._watch(path, metadata, context):
                async with aclosing(behaviour(request, context)) as responses:
                    async for response in responses:
                        yield response

        return watched

    @contextmanager
    def _watch(
        self, path: str, metadata: Iterable[tuple[str, str | bytes]], context: Context
    ) -> Iterator[None]:
        call, span = self._begin(path, metadata)
        context.set_trailing_metadata(((REQUEST_ID_KEY, call.request_id),))
        started, code = self._clock(), grpc.StatusCode.UNKNOWN
        try:
            yield
            code = _code_of(context)
        # The last is gRPC's, for a status that cannot be sent any more: of a message that is too
        # large, for example, gRPC's core has told the caller before.
        except (asyncio.CancelledError, GeneratorExit, grpc.aio.InternalError):
            code = _why_cancelled(context)
            raise
        except grpc.aio.AbortError:
            code = _code_of(context)
            raise
        finally:
            self._end(call, code, self._clock() - started, span)

    def _begin(self, path: str, metadata: Iterable[tuple[str, str | bytes]]) -> tuple[Call, Span]:
        known = path if path in SCOPES else OTHER
        call = Call(request_id_of(metadata), known.rpartition("/")[2])
        # gRPC gives every call a task of its own: what is set in its context goes with it. It is
        # not reset, because a stream that its caller left is ended in another context.
        begin(call)
        self._metrics.in_flight.labels(call.method).inc()
        return call, self._begin_span(known, call, metadata)

    def _begin_span(
        self, path: str, call: Call, metadata: Iterable[tuple[str, str | bytes]]
    ) -> Span:
        parent = _W3C.extract(text_headers(metadata), context=otel.Context())
        method = path.removeprefix("/")
        span = self._tracer.start_span(
            method,
            parent,
            SpanKind.SERVER,
            {
                "rpc.system.name": "grpc",
                "rpc.method": method,
                "budgetmem.request_id": call.request_id,
            },
        )
        otel.attach(set_span_in_context(span))
        return span

    def _end(self, call: Call, code: grpc.StatusCode, seconds: float, span: Span) -> None:
        self._metrics.in_flight.labels(call.method).dec()
        self._metrics.ended.labels(call.method, code.name).inc()
        self._metrics.duration.labels(call.method).observe(seconds)
        span.set_attribute("rpc.response.status_code", code.name)
        span.set_attribute("budgetmem.cost_usd", call.cost_usd)
        if code in SERVERS_FAULT:
            span.set_attribute("error.type", code.name)
            span.set_status(StatusCode.ERROR)
        trace = span.get_span_context()
        fields = {
            "request_id": call.request_id,
            "trace_id": f"{trace.trace_id:032x}" if trace.is_valid else "",
            "method": call.method,
            "code": code.name,
            "milliseconds": round(seconds * 1e3, 3),
            "tenant": call.tenant,
            "cost_usd": call.cost_usd,
        }
        message = (
            "%(method)s %(code)s in %(milliseconds).1f ms, tenant %(tenant)s, USD %(cost_usd)g"
        )
        logger.info(message, fields, extra={"fields": fields})
        span.end()


def _why_cancelled(context: Context) -> grpc.StatusCode:
    left = context.time_remaining()
    late = left is not None and left <= LATE_S
    return grpc.StatusCode.DEADLINE_EXCEEDED if late else grpc.StatusCode.CANCELLED


def _code_of(context: Context) -> grpc.StatusCode:
    """The status that was set, or OK."""
    return context.code() or grpc.StatusCode.OK
