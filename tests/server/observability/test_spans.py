"""One request is one tree of spans, from the caller to the model, and none of them holds a text."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field

import grpc
import pytest
from opentelemetry.trace import SpanKind, StatusCode

from budgetmem.backbone import HashEncoder, ScriptedBackbone
from budgetmem.errors import BackboneUnavailable
from budgetmem.proto.budgetmem.v1 import memory_pb2 as pb
from budgetmem.proto.budgetmem.v1.memory_pb2_grpc import MemoryServiceStub
from budgetmem.tiers import Tier
from budgetmem.tracing import trace_headers
from tests.fakes import REPLIES, perfect
from tests.server.observability.house import HISTORY, QUESTION, TENANT, TURNS, house

TRACE_ID, CALLER = 0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331
METADATA = [
    ("traceparent", f"00-{TRACE_ID:032x}-{CALLER:016x}-01"),
    ("budgetmem-tenant", TENANT),
    ("x-request-id", "mine"),
]
EXTRACT = pb.ExtractRequest(history=HISTORY, query=QUESTION, strategy="capacity")
SERVER = "budgetmem.v1.MemoryService/"


async def answered(address):
    async with grpc.aio.insecure_channel(address) as channel:
        request = pb.AnswerRequest(extract=EXTRACT)
        return await MemoryServiceStub(channel).Answer(request, metadata=METADATA, timeout=60)


def path_of(span, spans):
    """The names of a span and its parents, outermost first."""
    by_id = {each.context.span_id: each for each in spans}
    names = [span.name]
    while (span := by_id.get(span.parent.span_id)) is not None:
        names.insert(0, span.name)
    return " > ".join(names)


async def test_a_request_is_one_tree_in_the_trace_of_its_caller(tmp_path):
    async with house(tmp_path) as built:
        await answered(built.address)
        spans = built.spans
    assert {span.context.trace_id for span in spans} == {TRACE_ID}
    own = {span.context.span_id for span in spans}
    [root] = [span for span in spans if span.parent.span_id not in own]
    assert (root.name, root.parent.span_id) == (f"{SERVER}Answer", CALLER)
    assert root.kind is SpanKind.SERVER
    assert root.attributes["rpc.response.status_code"] == "OK"
    assert root.attributes["budgetmem.request_id"] == "mine"
    model = "text_completion backbone_low"
    expected = [
        "wait request pipeline",
        "retrieve",
        "retrieve > batch retrieve encoder",
        "answer",
        "answer > wait answer all",
        f"answer > {model}",
    ]
    stages = {"filter": ["filter"], "extract": ["entity", "temporal", "topic"]}
    for stage, modules in {**stages, "summary": ["summary"]}.items():
        expected += [f"stage {stage}", f"stage {stage} > route"]
        for module in modules:
            inside = f"stage {stage} > module {module}"
            expected += [inside, f"{inside} > wait {stage} all", f"{inside} > {model}"]
    found = sorted(path_of(span, spans) for span in spans if span is not root)
    assert found == sorted(f"{SERVER}Answer > {path}" for path in expected)
    assert all(span.start_time <= span.end_time for span in spans)


async def test_steps_and_calls_tell_what_they_took(tmp_path):
    async with house(tmp_path) as built:
        response = await answered(built.address)
        spans = built.spans
    steps = {step.module: step for step in response.receipt.steps}
    for name, step in steps.items():
        [span] = [each for each in spans if each.name == f"module {name}"]
        assert span.attributes["budgetmem.tier"] == "mid"
        assert span.attributes["budgetmem.rung"] == step.rung == "ask direct @ mid"
        assert span.attributes["budgetmem.input_tokens"] == step.usage.input_tokens
        assert span.attributes["budgetmem.cost_usd"] == step.usage.cost_usd
    calls = [span for span in spans if span.kind is SpanKind.CLIENT]
    read = sum(span.attributes["gen_ai.usage.input_tokens"] for span in calls)
    llm = [*(step.usage for step in steps.values()), response.receipt.answer]
    assert read == sum(usage.input_tokens for usage in llm)
    for span in calls:
        assert span.attributes["gen_ai.operation.name"] == "text_completion"
        assert span.attributes["gen_ai.request.model"] == "backbone_low"
        assert span.attributes["gen_ai.response.finish_reasons"] == ("stop",)
    [encoding] = [span for span in spans if span.name == "batch retrieve encoder"]
    assert [event.name for event in encoding.events] == ["dispatched"]


def words(*texts):
    return {word for text in texts for word in re.findall(r"\w{3,}", text.lower())}


def assert_no_text(spans, *more):
    """No word of turns, question, replies, tenant or history, but those that we use ourselves."""
    said = words(
        *(turn.text for turn in TURNS), QUESTION, *REPLIES.values(), TENANT, HISTORY, *more
    )
    assert {"quokka", "adopted"} <= said
    told = words(*(text for span in spans for text in texts_of(span)))
    assert "module" in told
    assert told & (said - {"memory", "topic"}) == set()


def texts_of(span):
    """All that a span says, but for ids and times."""
    yield from (span.name, str(dict(span.attributes)), span.status.description or "")
    yield from (f"{event.name} {dict(event.attributes)}" for event in span.events)


async def test_no_span_holds_a_text(tmp_path):
    async with house(tmp_path) as built:
        await answered(built.address)
        assert_no_text(built.spans)


@dataclass
class Rambling(ScriptedBackbone):
    """Replies to no module as it was asked to; the reasons of fallbacks may quote it."""

    script: object = field(default="Zyzzyva and Quokka live in Lisbon".__str__)

    def _reply(self, prompt):
        return "a cat" if "Answer:" in prompt else "Zyzzyva and Quokka live in Lisbon"


async def test_fallbacks_are_told_without_what_was_said(tmp_path):
    async with house(tmp_path, {"all": Rambling(name="backbone_low")}) as built:
        response = await answered(built.address)
        spans = built.spans
    fallen = {step.module: len(step.fallbacks) for step in response.receipt.steps}
    assert sum(fallen.values()) > 0
    for module, count in fallen.items():
        [span] = [each for each in spans if each.name == f"module {module}"]
        assert len(span.attributes["budgetmem.fallbacks"]) == count
    assert_no_text(spans, "Zyzzyva and Quokka live in Lisbon")


@dataclass
class Failing(ScriptedBackbone):
    async def generate(self, request, on_first_token=None):
        raise BackboneUnavailable("Zyzzyva went away")


async def test_a_failure_marks_its_spans_and_says_no_more_than_its_class(tmp_path):
    async with house(tmp_path, {"all": Failing(perfect, name="backbone_low")}) as built:
        with pytest.raises(grpc.RpcError):
            await answered(built.address)
        spans = built.spans
    failed = {span.name: span for span in spans if span.status.status_code is StatusCode.ERROR}
    assert failed[f"{SERVER}Answer"].attributes["rpc.response.status_code"] == "UNAVAILABLE"
    assert failed["module filter"].attributes["error.type"] == "BackboneUnavailable"
    assert_no_text(spans, "Zyzzyva went away")


@dataclass
class Stuck(ScriptedBackbone):
    """Never answers."""

    called: asyncio.Event = field(default_factory=asyncio.Event)

    async def generate(self, request, on_first_token=None):
        self.called.set()
        await asyncio.Event().wait()


async def test_a_cancelled_stream_ends_all_of_its_spans(tmp_path):
    stuck = Stuck(perfect, name="backbone_low")
    async with house(tmp_path, {"all": stuck}) as built:
        async with grpc.aio.insecure_channel(built.address) as channel:
            call = MemoryServiceStub(channel).ExtractStream(EXTRACT, metadata=METADATA)
            await call.read()
            await asyncio.wait_for(stuck.called.wait(), 30)
            call.cancel()
            while f"{SERVER}ExtractStream" not in {span.name for span in built.spans}:
                await asyncio.sleep(0.01)
        spans = {span.name: span for span in built.spans}
    root = spans[f"{SERVER}ExtractStream"]
    assert root.attributes["rpc.response.status_code"] == "CANCELLED"
    assert root.status.status_code is StatusCode.UNSET
    assert spans["text_completion backbone_low"].attributes["error.type"] == "CancelledError"
    assert {span.context.trace_id for span in spans.values()} == {TRACE_ID}


@dataclass
class Listening(ScriptedBackbone):
    """Notes the headers that a call to Triton would take along."""

    headers: list[dict[str, str]] = field(default_factory=list)

    async def generate(self, request, on_first_token=None):
        self.headers.append(trace_headers())
        return await super().generate(request, on_first_token)


@dataclass
class ListeningEncoder(HashEncoder):
    headers: list[dict[str, str]] = field(default_factory=list)

    async def embed(self, texts):
        self.headers.append(trace_headers())
        return await super().embed(texts)


async def test_models_are_called_within_their_span_and_shared_batches_in_no_trace(tmp_path):
    backbone = Listening(perfect, name="backbone_low")
    encoder = ListeningEncoder(name="minilm-l6-v2")
    async with house(tmp_path, {"all": backbone}, encoder) as built:
        await answered(built.address)
        calls = [span for span in built.spans if span.kind is SpanKind.CLIENT]
    sent = {header["traceparent"].split("-")[2] for header in backbone.headers}
    assert sent == {f"{span.context.span_id:016x}" for span in calls}
    assert encoder.headers
    assert all(headers == {} for headers in encoder.headers)


async def test_a_client_within_a_span_is_the_parent(tmp_path):
    async with house(tmp_path) as built:
        with built.seen.tracer.start_as_current_span("agent") as agent:
            async with built.client() as client:
                await client.extract(HISTORY, QUESTION, tier=Tier.LOW)
        [root] = [span for span in built.spans if span.kind is SpanKind.SERVER]
    assert root.parent.span_id == agent.get_span_context().span_id
