"""Requests to Triton take the trace of whoever makes them along."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress

import grpc
import numpy as np
import pytest
from opentelemetry.sdk.trace import TracerProvider
from tritonclient.grpc import service_pb2, service_pb2_grpc

from budgetmem.errors import BackboneError, BackboneUnavailable
from budgetmem.tracing import traced
from budgetmem.triton import channel as channels
from budgetmem.triton.channel import Channel, Patience, text_tensor
from tests.relay import Relay

INPUTS = {"text_input": text_tensor("hi")}
TOLERANT = [("grpc.http2.min_recv_ping_interval_without_data_ms", 50)]
IMPATIENT = Patience(silence_s=0.2, answer_s=0.5)


class FakeTriton(service_pb2_grpc.GRPCInferenceServiceServicer):
    """Answers every request alike, with a 1 at first, and keeps the headers."""

    def __init__(self):
        self.headers = []
        self.response = response()
        self.takes_s = 0.0
        self.talks = False
        self.stopped = asyncio.Event()

    async def ModelInfer(self, request, context):  # noqa: N802
        self.headers.append(dict(context.invocation_metadata()))
        await asyncio.sleep(self.takes_s)
        return self.response

    async def ModelStreamInfer(self, requests, context):  # noqa: N802
        self.headers.append(dict(context.invocation_metadata()))
        async for _ in requests:
            yield service_pb2.ModelStreamInferResponse(infer_response=self.response)
        try:
            while self.talks:
                yield service_pb2.ModelStreamInferResponse(infer_response=self.response)
        finally:
            self.stopped.set()


ONE = np.array([1], np.int64).tobytes()


def response(datatype="INT64", shape=(1,), raw=ONE, name="out"):
    output = service_pb2.ModelInferResponse.InferOutputTensor(
        name=name, datatype=datatype, shape=shape
    )
    return service_pb2.ModelInferResponse(outputs=[output], raw_output_contents=[raw])


@pytest.fixture
async def triton():
    server, fake = grpc.aio.server(options=TOLERANT), FakeTriton()
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(fake, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    fake.channel = Channel(f"127.0.0.1:{port}")
    yield fake
    await fake.channel.close()
    await server.stop(0)


async def infer(channel):
    assert await channel.infer("model", INPUTS, "out") == np.array([1])


async def stream(channel):
    [tensors] = [each async for each in channel.stream("model", INPUTS, frozenset({"out"}))]
    assert tensors["out"] == np.array([1])


async def retried(call, channel):
    """What fails while the old connection is closed is worth a retry."""
    while True:
        with suppress(BackboneUnavailable):
            return await call(channel)


@pytest.mark.parametrize("call", [infer, stream])
async def test_the_current_span_is_the_parent_of_what_triton_does(triton, call):
    await call(triton.channel)
    with traced(TracerProvider().get_tracer("test"), "asking") as span:
        await call(triton.channel)
    without, within = triton.headers
    context = span.get_span_context()
    assert "traceparent" not in without
    assert f"{context.trace_id:032x}-{context.span_id:016x}" in within["traceparent"]
    assert without.get("triton_grpc_error") == within.get("triton_grpc_error")


GARBAGE = {
    "another shape": response(shape=(3,)),
    "half a number": response(raw=b"\x01\x00"),
    "a text that is longer than all": response("BYTES", raw=b"\xff\xff\xff\x7fa"),
    "a text without its length": response("BYTES", raw=b"\x01"),
    "fewer texts": response("BYTES", shape=(2,), raw=b"\x01\x00\x00\x00a"),
    "an unknown type": response("TEXT", raw=b"a"),
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
@pytest.mark.parametrize("call", [infer, stream])
async def test_tensors_that_cannot_be_read_are_errors_of_their_model(triton, call, garbage):
    triton.response = garbage
    with pytest.raises(BackboneError, match=r"model at 127\.0\.0\.1:\d+ sent what cannot be read"):
        await call(triton.channel)


async def test_a_response_without_the_output_that_was_asked_for_is_an_error(triton):
    triton.response = response(name="another")
    with pytest.raises(BackboneError, match="sent no 'out'"):
        await triton.channel.infer("model", INPUTS, "out")
    streamed = [each async for each in triton.channel.stream("model", INPUTS, frozenset({"out"}))]
    assert streamed == [{}]


async def test_a_model_that_talks_on_is_told_to_stop(triton):
    triton.talks = True
    async with aclosing(triton.channel.stream("model", INPUTS, frozenset({"out"}))) as responses:
        await anext(responses)
    await asyncio.wait_for(triton.stopped.wait(), 30)


@pytest.mark.parametrize("call", [infer, stream])
async def test_a_response_that_is_too_large_is_an_error_of_its_model(triton, monkeypatch, call):
    options = dict(channels.PLAIN_OPTIONS)
    assert 0 < options["grpc.max_receive_message_length"] < 2**30
    options["grpc.max_receive_message_length"] = 1000
    monkeypatch.setattr(channels, "PLAIN_OPTIONS", tuple(options.items()))
    triton.response = response(shape=(1000,), raw=ONE * 1000)
    narrow = Channel(triton.channel.url)
    with pytest.raises(BackboneError, match=r"model at 127\.0\.0\.1:\d+: ") as caught:
        await call(narrow)
    assert not isinstance(caught.value, BackboneUnavailable)
    await narrow.close()


async def test_a_model_that_never_answers_is_not_waited_for_for_ever(triton):
    triton.takes_s = 600.0
    impatient = Channel(triton.channel.url, longest_s=0.2)
    with pytest.raises(BackboneUnavailable, match=r"model at .* cannot be reached or went away"):
        await asyncio.wait_for(impatient.infer("model", INPUTS, "out"), 30)
    await impatient.close()


@pytest.mark.parametrize("call", [infer, stream])
async def test_a_server_that_vanishes_is_not_waited_for_and_found_again(triton, call):
    relay = Relay(int(triton.channel.url.partition(":")[2]))
    async with await asyncio.start_server(relay.serve, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        channel = Channel(f"127.0.0.1:{port}", patience=IMPATIENT)
        await call(channel)
        relay.stall()
        with pytest.raises(BackboneUnavailable, match="cannot be reached or went away"):
            await asyncio.wait_for(call(channel), 30)
        await asyncio.wait_for(retried(call, channel), 30)
        relay.cut()
        await channel.close()


async def test_a_server_that_is_only_slow_is_waited_for(triton):
    triton.takes_s = 10 * IMPATIENT.silence_s
    patient = Channel(triton.channel.url, patience=IMPATIENT)
    await infer(patient)
    await patient.close()


@pytest.mark.parametrize("call", [infer, stream])
async def test_no_proxy_sees_what_goes_in_the_clear(triton, monkeypatch, call):
    monkeypatch.setenv("grpc_proxy", "http://127.0.0.1:9")
    for name in ("no_grpc_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    direct = Channel(triton.channel.url)
    await call(direct)
    await direct.close()
