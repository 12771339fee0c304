"""The events of a streamed extraction."""

from __future__ import annotations

from budgetmem.errors import ServerError
from budgetmem.pipeline import Event, RetrievedEvent, StepEvent
from budgetmem.proto.budgetmem.v1 import memory_pb2 as pb
from budgetmem.types import Memory
from budgetmem.wire.results import decode_memory, decode_step, encode_memory, encode_step
from budgetmem.wire.values import (
    decode_chunk,
    decode_finding,
    encode_chunk,
    encode_finding,
    sent_by_server,
)


def encode_event(event: Event | Memory) -> pb.ExtractEvent:
    if isinstance(event, RetrievedEvent):
        return pb.ExtractEvent(retrieved=pb.Retrieved(chunks=map(encode_chunk, event.chunks)))
    if isinstance(event, StepEvent):
        findings = map(encode_finding, event.findings)
        return pb.ExtractEvent(
            module_done=pb.ModuleDone(step=encode_step(event.step), findings=findings)
        )
    return pb.ExtractEvent(memory=encode_memory(event))


@sent_by_server()
def decode_event(message: pb.ExtractEvent) -> Event | Memory:
    """Raises ServerError for an event of a kind that this version does not know."""
    match message.WhichOneof("event"):
        case "retrieved":
            return RetrievedEvent(tuple(map(decode_chunk, message.retrieved.chunks)))
        case "module_done":
            done = message.module_done
            return StepEvent(decode_step(done.step), tuple(map(decode_finding, done.findings)))
        case "memory":
            return decode_memory(message.memory)
    raise ServerError("the server sent an event that this client does not know: update the client")
