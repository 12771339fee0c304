"""Times, tiers, turns, chunks and findings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime

from budgetmem.errors import InvalidInput, ServerError
from budgetmem.proto.budgetmem.v1 import memory_pb2 as pb
from budgetmem.tiers import Tier
from budgetmem.types import Chunk, Finding, Turn

TIERS: Mapping[Tier, pb.Tier.ValueType] = {
    Tier.LOW: pb.TIER_LOW,
    Tier.MID: pb.TIER_MID,
    Tier.HIGH: pb.TIER_HIGH,
}
_TIERS_BACK: Mapping[int, Tier] = {number: tier for tier, number in TIERS.items()}


@contextmanager
def sent_by_server() -> Iterator[None]:
    """Raises ServerError where a response holds what this version cannot read. It decorates the
    decoders of responses: those that they share with requests would blame the caller."""
    try:
        yield
    except InvalidInput as exc:
        raise ServerError(
            f"the server sent what this client does not know: update the client ({exc})"
        ) from exc


def decode_tier(number: int, field: str) -> Tier:
    """Raises InvalidInput naming `field` if the number is no tier, TIER_UNSPECIFIED included."""
    if number not in _TIERS_BACK:
        raise InvalidInput(field, f"{number} is not a tier: use TIER_LOW, TIER_MID or TIER_HIGH")
    return _TIERS_BACK[number]


def encode_time(time: datetime | None) -> str:
    """ISO 8601; the empty text for None. A time without an offset stays without one."""
    return "" if time is None else time.isoformat()


def decode_time(text: str, field: str) -> datetime | None:
    """None for the empty text. Raises InvalidInput naming `field` if it is not ISO 8601."""
    if not text:
        return None
    # Python 3.10 does not read the "Z" that most other languages write.
    readable = text[:-1] + "+00:00" if text[-1] in "Zz" else text
    try:
        return datetime.fromisoformat(readable)
    except ValueError as exc:
        raise InvalidInput(
            field, f"{text[:40]!r} is not an ISO 8601 time, such as 2023-05-08T13:56:00+02:00"
        ) from exc


def encode_turn(turn: Turn) -> pb.Turn:
    return pb.Turn(
        id=turn.id,
        speaker=turn.speaker,
        text=turn.text,
        time=encode_time(turn.time),
        session=turn.session,
        caption=turn.caption,
        metadata=turn.metadata,
    )


def decode_turn(message: pb.Turn, field: str = "turn") -> Turn:
    return Turn(
        id=message.id,
        speaker=message.speaker,
        text=message.text,
        time=decode_time(message.time, f"{field}.time"),
        session=message.session,
        caption=message.caption if message.HasField("caption") else None,
        metadata=dict(message.metadata),
    )


def encode_chunk(chunk: Chunk) -> pb.Chunk:
    return pb.Chunk(
        id=chunk.id,
        session=chunk.session,
        time=encode_time(chunk.time),
        turn_ids=chunk.turn_ids,
        text=chunk.text,
        tokens=chunk.tokens,
        score=chunk.score,
    )


def decode_chunk(message: pb.Chunk) -> Chunk:
    return Chunk(
        id=message.id,
        session=message.session,
        time=decode_time(message.time, "chunk.time"),
        turn_ids=tuple(message.turn_ids),
        text=message.text,
        tokens=message.tokens,
        score=message.score,
    )


def encode_finding(finding: Finding) -> pb.Finding:
    return pb.Finding(
        module=finding.module,
        text=finding.text,
        chunk_ids=finding.chunk_ids,
        fields=finding.fields,
        score=finding.score,
    )


def decode_finding(message: pb.Finding) -> Finding:
    return Finding(
        module=message.module,
        text=message.text,
        chunk_ids=tuple(message.chunk_ids),
        fields=dict(message.fields),
        score=message.score if message.HasField("score") else None,
    )


def encode_findings(findings: Mapping[str, tuple[Finding, ...]]) -> list[pb.ModuleFindings]:
    return [
        pb.ModuleFindings(module=module, findings=map(encode_finding, found))
        for module, found in findings.items()
    ]


def decode_findings(messages: Iterable[pb.ModuleFindings]) -> dict[str, tuple[Finding, ...]]:
    return {m.module: tuple(map(decode_finding, m.findings)) for m in messages}
