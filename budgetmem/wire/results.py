"""Usage, steps, receipts, memories and answers."""

from __future__ import annotations

from budgetmem.errors import InvalidInput
from budgetmem.proto.budgetmem.v1 import memory_pb2 as pb
from budgetmem.tiers import Tier
from budgetmem.types import Answer, Choice, Fallback, Memory, Receipt, Step, Usage
from budgetmem.wire.scalars import decode_scalars, encode_scalars
from budgetmem.wire.values import (
    TIERS,
    decode_chunk,
    decode_findings,
    decode_tier,
    encode_chunk,
    encode_findings,
    sent_by_server,
)


def encode_usage(usage: Usage) -> pb.Usage:
    return encode_scalars(usage, pb.Usage)


def decode_usage(message: pb.Usage) -> Usage:
    return decode_scalars(message, Usage)


def encode_choice(choice: Choice) -> pb.Choice:
    masked = [pb.MaskedTier(tier=TIERS[t], reason=why) for t, why in choice.masked.items()]
    return pb.Choice(
        tier=TIERS[choice.tier],
        probabilities=choice.probabilities,
        masked=masked,
        cost_weight=choice.cost_weight,
    )


def decode_choice(message: pb.Choice) -> Choice:
    if len(message.probabilities) != len(Tier):
        raise InvalidInput("choice.probabilities", f"are {len(message.probabilities)}, not 3")
    low, mid, high = message.probabilities
    return Choice(
        tier=decode_tier(message.tier, "choice.tier"),
        probabilities=(low, mid, high),
        masked={decode_tier(m.tier, "choice.masked"): m.reason for m in message.masked},
        cost_weight=message.cost_weight if message.HasField("cost_weight") else None,
    )


def encode_step(step: Step) -> pb.Step:
    return pb.Step(
        module=step.module,
        choice=encode_choice(step.choice),
        rung=step.rung,
        usage=encode_usage(step.usage),
        fallbacks=[encode_scalars(fallback, pb.Fallback) for fallback in step.fallbacks],
        mean_logprob=step.mean_logprob,
        finish_reason=step.finish_reason,
    )


def decode_step(message: pb.Step) -> Step:
    return Step(
        module=message.module,
        choice=decode_choice(message.choice),
        rung=message.rung,
        usage=decode_usage(message.usage),
        fallbacks=tuple(decode_scalars(f, Fallback) for f in message.fallbacks),
        mean_logprob=message.mean_logprob if message.HasField("mean_logprob") else None,
        finish_reason=message.finish_reason if message.HasField("finish_reason") else None,
    )


def encode_receipt(receipt: Receipt) -> pb.Receipt:
    return pb.Receipt(
        strategy=receipt.strategy,
        router=receipt.router,
        steps=map(encode_step, receipt.steps),
        retrieval=encode_usage(receipt.retrieval),
        answer=None if receipt.answer is None else encode_usage(receipt.answer),
        total=encode_usage(receipt.total),
        retrieved_chunk_ids=receipt.retrieved_chunk_ids,
        kept_chunk_ids=receipt.kept_chunk_ids,
        notes=receipt.notes,
    )


def decode_receipt(message: pb.Receipt) -> Receipt:
    return Receipt(
        strategy=message.strategy,
        router=message.router,
        steps=tuple(map(decode_step, message.steps)),
        retrieval=decode_usage(message.retrieval),
        answer=decode_usage(message.answer) if message.HasField("answer") else None,
        total=decode_usage(message.total),
        retrieved_chunk_ids=tuple(message.retrieved_chunk_ids),
        kept_chunk_ids=tuple(message.kept_chunk_ids),
        notes=tuple(message.notes),
    )


def encode_memory(memory: Memory) -> pb.Memory:
    return pb.Memory(
        text=memory.text,
        findings=encode_findings(memory.findings),
        chunks=map(encode_chunk, memory.chunks),
        receipt=encode_receipt(memory.receipt),
    )


@sent_by_server()
def decode_memory(message: pb.Memory) -> Memory:
    return Memory(
        text=message.text,
        findings=decode_findings(message.findings),
        chunks=tuple(map(decode_chunk, message.chunks)),
        receipt=decode_receipt(message.receipt),
    )


def encode_answer(answer: Answer) -> pb.AnswerResponse:
    return pb.AnswerResponse(
        text=answer.text,
        memory=encode_memory(answer.memory),
        receipt=encode_receipt(answer.receipt),
    )


@sent_by_server()
def decode_answer(message: pb.AnswerResponse) -> Answer:
    return Answer(
        text=message.text,
        memory=decode_memory(message.memory),
        receipt=decode_receipt(message.receipt),
    )
