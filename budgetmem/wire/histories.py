"""What is said about histories: reports of ingests, counts, proofs of deletion."""

from __future__ import annotations

from typing import TypeVar

from budgetmem.history import IngestReport
from budgetmem.proto.budgetmem.v1 import memory_pb2 as pb
from budgetmem.store.base import DeletionProof, HistoryInfo, Settings
from budgetmem.types import Turn
from budgetmem.wire.scalars import decode_scalars, encode_scalars
from budgetmem.wire.values import decode_time, decode_turn, encode_time, sent_by_server


def encode_ingest_report(report: IngestReport) -> pb.IngestResponse:
    return encode_scalars(report, pb.IngestResponse)


def decode_ingest_report(message: pb.IngestResponse) -> IngestReport:
    return decode_scalars(message, IngestReport)


ProofMessage = TypeVar(
    "ProofMessage", pb.DeleteHistoryResponse, pb.DeleteTurnsResponse, pb.DeleteTenantResponse
)


def encode_proof(proof: DeletionProof, message: type[ProofMessage]) -> ProofMessage:
    return encode_scalars(proof, message)


def decode_proof(message: ProofMessage) -> DeletionProof:
    return decode_scalars(message, DeletionProof)


def encode_history(info: HistoryInfo) -> pb.HistoryInfo:
    return pb.HistoryInfo(
        name=info.history,
        turns=info.turns,
        chunks=info.units,
        sessions=info.sessions,
        first_time=encode_time(info.first),
        last_time=encode_time(info.last),
        settings=encode_scalars(info.settings, pb.IndexSettings),
        damaged=info.damaged,
    )


@sent_by_server()
def decode_exported(message: pb.ExportHistoryResponse) -> Turn:
    return decode_turn(message.turn)


@sent_by_server()
def decode_history(message: pb.HistoryInfo) -> HistoryInfo:
    return HistoryInfo(
        history=message.name,
        settings=decode_scalars(message.settings, Settings),
        sessions=message.sessions,
        turns=message.turns,
        units=message.chunks,
        first=decode_time(message.first_time, "first_time"),
        last=decode_time(message.last_time, "last_time"),
        damaged=message.damaged,
    )
