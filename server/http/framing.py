"""How the messages of a stream follow one another: server-sent events, or a line each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message

from server.http.faults import Fault

ERROR = "error"


@dataclass(frozen=True)
class Framing:
    """`frame` makes bytes of a name and a line of JSON; `heartbeat` are bytes that say nothing."""

    media_type: str
    frame: Callable[[str, str], bytes]
    heartbeat: bytes

    def message(self, message: Message) -> bytes:
        """One message, named after the field that is set in it."""
        [(field, _), *_] = message.ListFields()
        return self.frame(field.json_name, to_json(message))

    def fault(self, fault: Fault) -> bytes:
        """The last of a stream that failed after it had begun."""
        return self.frame(ERROR, fault.json)


SSE = Framing(
    "text/event-stream",
    lambda name, line: f"event: {name}\ndata: {line}\n\n".encode(),
    b": still there\n\n",
)
LINES = Framing("application/x-ndjson", lambda name, line: f"{line}\n".encode(), b"\n")
FRAMINGS = (SSE, LINES)


def framing_of(accept: str) -> Framing:
    """The first that an Accept header names; SSE where it names none, as those of tools that expect
    one JSON do."""
    wanted = [each.partition(";")[0].strip().lower() for each in accept.split(",")]
    for media_type in wanted:
        for framing in FRAMINGS:
            if media_type == framing.media_type:
                return framing
    return SSE


def to_json(message: Message) -> str:
    """The canonical JSON of a message on one line; what is zero or empty is there too."""
    return MessageToJson(
        message, indent=None, ensure_ascii=False, always_print_fields_with_no_presence=True
    )
