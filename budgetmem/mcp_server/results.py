"""What the tools return. A model pays for every word it reads: receipts are short.

Times are text: the schema of a datetime has the format date-time, which is that of times with an
offset, and clients refuse a result of a form that its tool's schema does not allow.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel, Field

from budgetmem.evidence import evidence_of
from budgetmem.history import IngestReport
from budgetmem.plain import plain
from budgetmem.store.base import DeletionProof, HistoryInfo
from budgetmem.types import Answer, Memory, Receipt


class ReceiptResult(BaseModel):
    """What a call did and what it cost, failed attempts included."""

    cost_usd: float
    milliseconds: float
    input_tokens: int
    output_tokens: int
    strategy: str
    tiers: dict[str, str] = Field(description="The tier that each module ran on.")
    notes: list[str] = Field(description="What was given up or lowered, and why.")

    @classmethod
    def of(cls, receipt: Receipt) -> ReceiptResult:
        """The totals, and all that did not go as chosen."""
        return cls(
            cost_usd=receipt.total.cost_usd,
            milliseconds=receipt.total.milliseconds,
            input_tokens=receipt.total.input_tokens,
            output_tokens=receipt.total.output_tokens,
            strategy=receipt.strategy,
            tiers={step.module: step.choice.tier.label for step in receipt.steps},
            notes=[*_lowered(receipt), *receipt.notes],
        )


class Evidence(BaseModel):
    """A turn that the memory was made from."""

    turn_ids: list[str] = Field(
        description="Its id. Several: turns that cannot be told apart, `text` is all of them."
    )
    speaker: str
    text: str
    time: str | None = Field(description="When it was said (ISO 8601).")
    quoted: bool = Field(
        description="Whether the memory has words of it; else it was only read beside them."
    )


class MemoryResult(BaseModel):
    """The memory that the question needs."""

    memory: str = Field(description="Rest your answer on it; it may be empty.")
    evidence: list[Evidence]
    receipt: ReceiptResult

    @classmethod
    def of(cls, memory: Memory) -> MemoryResult:
        """Without the rest of the chunks, which the memory stands for."""
        return cls(
            memory=memory.text,
            evidence=_evidence(memory),
            receipt=ReceiptResult.of(memory.receipt),
        )


class AnswerResult(BaseModel):
    """An answer, and the memory that it was given from."""

    answer: str
    memory: str
    evidence: list[Evidence]
    receipt: ReceiptResult = Field(description="Of the memory and the answer together.")

    @classmethod
    def of(cls, answer: Answer) -> AnswerResult:
        """As `MemoryResult.of`, with the answer."""
        return cls(
            answer=answer.text,
            memory=answer.memory.text,
            evidence=_evidence(answer.memory),
            receipt=ReceiptResult.of(answer.receipt),
        )


class IngestResult(BaseModel):
    """What an ingest did."""

    added: int = Field(description="Turns that are new.")
    unchanged: int = Field(description="Turns that were there already.")

    @classmethod
    def of(cls, report: IngestReport) -> IngestResult:
        """Of turns; how they are indexed is no concern of a model's."""
        return cls(added=report.added, unchanged=report.unchanged)


class ForgetResult(BaseModel):
    """The proof of a deletion."""

    turns: int = Field(description="Turns that were deleted, with all that was made from them.")
    remaining: int = Field(description="What a scan still found of them afterwards: 0.")
    record: str = Field(description="Name of the server's record of it; empty if it keeps none.")

    @classmethod
    def of(cls, proof: DeletionProof) -> ForgetResult:
        """Of turns; chunks and vectors go with them."""
        return cls(turns=proof.turns, remaining=proof.remaining, record=proof.record)


class HistoryResult(BaseModel):
    """One stored history."""

    history: str
    turns: int
    sessions: int
    first: str | None = Field(description="Earliest time of its turns (ISO 8601).")
    last: str | None = Field(description="Latest.")
    damaged: bool = Field(description="It cannot be read, so nothing of it was counted.")

    @classmethod
    def of(cls, info: HistoryInfo) -> HistoryResult:
        """Its name, size and times, or that it is damaged."""
        return cls(
            history=info.history,
            turns=info.turns,
            sessions=info.sessions,
            first=plain(info.first),
            last=plain(info.last),
            damaged=info.damaged,
        )


class HistoriesResult(BaseModel):
    """All stored histories, by name."""

    histories: list[HistoryResult]


def _evidence(memory: Memory) -> list[Evidence]:
    return [Evidence.model_validate(plain(each)) for each in evidence_of(memory)]


def _lowered(receipt: Receipt) -> Iterator[str]:
    for step in receipt.steps:
        for tier, reason in step.choice.masked.items():
            yield f"{step.module}: {tier.label} not allowed: {reason}"
        for fallback in step.fallbacks:
            yield f"{step.module}: {fallback.rung} given up: {fallback.reason}"
