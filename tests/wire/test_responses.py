"""What a client makes of responses that it does not know: the server may be newer."""

from __future__ import annotations

import grpc
import pytest

from budgetmem.client.failures import translated
from budgetmem.errors import InvalidInput, ServerError
from budgetmem.proto.budgetmem.v1 import memory_pb2 as pb
from budgetmem.wire.events import decode_event
from budgetmem.wire.faults import DETAILS_KEY, encode_fault
from budgetmem.wire.histories import decode_exported, decode_history
from budgetmem.wire.info import decode_info
from budgetmem.wire.results import decode_answer, decode_memory


def memory(**choice) -> pb.Memory:
    given = {"tier": pb.TIER_LOW, "probabilities": [1, 0, 0], **choice}
    return pb.Memory(receipt=pb.Receipt(steps=[pb.Step(choice=pb.Choice(**given))]))


def test_a_memory_of_this_version_is_read():
    assert decode_memory(memory()).receipt.steps[0].choice.probabilities == (1, 0, 0)


@pytest.mark.parametrize(
    ("decode", "message", "says"),
    [
        (decode_memory, memory(tier=7), "choice.tier: 7 is not a tier"),
        (decode_memory, memory(probabilities=[0.5, 0.5]), "choice.probabilities: are 2, not 3"),
        (decode_memory, memory(probabilities=[]), "are 0, not 3"),
        (decode_memory, memory(probabilities=[0.25] * 4), "are 4, not 3"),
        (decode_answer, pb.AnswerResponse(memory=memory(tier=7)), "7 is not a tier"),
        (decode_event, pb.ExtractEvent(memory=memory(tier=7)), "7 is not a tier"),
        (decode_event, pb.ExtractEvent(), "update the client"),
        (decode_history, pb.HistoryInfo(first_time="yesterday"), "first_time"),
        (decode_exported, pb.ExportHistoryResponse(turn=pb.Turn(time="yesterday")), "turn.time"),
        (decode_info, pb.GetInfoResponse(backbones=[pb.BackboneInfo(tiers=[7])]), "7 is not"),
    ],
)
def test_what_this_version_cannot_read_is_the_servers_fault(decode, message, says):
    with pytest.raises(ServerError, match=says) as caught:
        decode(message)
    assert not isinstance(caught.value, InvalidInput)


class Refused(grpc.RpcError):
    """A call that was refused for this field."""

    def __init__(self, field: str) -> None:
        self.status = encode_fault(InvalidInput(field, "is bad"), 3)

    def trailing_metadata(self):
        return ((DETAILS_KEY, self.status.SerializeToString()),)


@pytest.mark.parametrize(
    ("field", "shifted"),
    [
        ("turns[3].text", "turns[259].text"),
        ("turns", "turns"),
        ("history", "history"),
        (f"turns[{'9' * 5000}].text", f"turns[{'9' * 5000}].text"),
    ],
    ids=["a turn", "turns", "history", "no turn"],
)
def test_a_turns_place_is_that_in_the_callers_list(field, shifted):
    with pytest.raises(InvalidInput) as caught, translated("server", 256):
        raise Refused(field)
    assert caught.value.field == shifted
