"""The real weights of profile `tiny` behind the embedded Triton. Skipped where they are absent."""

import asyncio
import json

import numpy as np
import pytest
import pytest_asyncio

from budgetmem.backbone import Entity, GenerationRequest
from budgetmem.config import load_profile
from budgetmem.errors import BackboneError
from budgetmem.triton import connect

pytestmark = [pytest.mark.services, pytest.mark.asyncio(loop_scope="session")]

PROFILE = load_profile("tiny")
ENTRY = PROFILE.backbones["all"]
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 20}, "known": {"type": "boolean"}},
    "required": ["city", "known"],
    "additionalProperties": False,
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def models(tiny_triton):
    models = await connect(PROFILE, tiny_triton)
    yield models
    await models.close()


def ask(question: str, **options) -> GenerationRequest:
    prompt = ENTRY.template.replace("{prompt}", question)
    return GenerationRequest(prompt, max_tokens=options.pop("max_tokens", 16), **options)


async def test_generates_and_counts_like_the_client(models):
    backbone = models.backbones["all"]
    request = ask("Name the capital of France, naïvely: 東京?")
    completion = await backbone.generate(request)
    assert completion.text.strip()
    assert "<|im_" not in completion.text
    assert completion.input_tokens == backbone.tokens.count(request.prompt)
    assert 0 < completion.output_tokens <= 16
    assert completion.cumulative_logprob is not None
    assert completion.cumulative_logprob < 0


async def test_greedy_replies_repeat(models):
    request = ask("Count from one to five.")
    replies = [(await models.backbones["all"].generate(request)).text for _ in range(2)]
    assert replies[0] == replies[1]


async def test_the_limit_ends_a_reply(models):
    completion = await models.backbones["all"].generate(ask("Tell a long story.", max_tokens=4))
    assert (completion.output_tokens, completion.finish_reason) == (4, "length")


async def test_a_stop_string_ends_a_reply(models):
    backbone = models.backbones["all"]
    whole = (await backbone.generate(ask("Tell a story.", max_tokens=24))).text
    stop = whole.split()[3]
    cut = await backbone.generate(ask("Tell a story.", max_tokens=24, stop=(stop,)))
    assert cut.text == whole[: whole.index(stop)]
    assert cut.finish_reason == "stop"


async def test_a_schema_is_kept_to(models):
    request = ask("Where is the Eiffel tower? Answer in JSON.", schema=SCHEMA, max_tokens=64)
    completion = await models.backbones["all"].generate(request)
    reply = json.loads(completion.text)
    assert set(reply) == {"city", "known"}
    assert isinstance(reply["known"], bool)


async def test_many_prompts_at_once_each_get_their_reply(models):
    backbone = models.backbones["all"]
    requests = [ask(f"Repeat the word w{i}.", max_tokens=8) for i in range(8)]
    together = await asyncio.gather(*(backbone.generate(request) for request in requests))
    assert [c.input_tokens for c in together] == [backbone.tokens.count(r.prompt) for r in requests]


async def test_a_prompt_beyond_the_context_is_refused(models):
    with pytest.raises(BackboneError, match=f"context {ENTRY.context}"):
        await models.backbones["all"].generate(ask("word " * (ENTRY.context + 1)))


async def test_embeddings_are_unit_vectors_near_their_paraphrase(models):
    texts = [
        "Anna moved to Lisbon last summer.",
        "Last summer, Anna relocated to Lisbon.",
        "The compiler rejects this template argument.",
    ]
    vectors = await models.encoder.embed(texts)
    assert vectors.shape == (3, PROFILE.encoder.dimension)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert vectors[0] @ vectors[1] > 0.8
    assert vectors[0] @ vectors[2] < 0.3


async def test_an_embedding_hardly_depends_on_its_batch(models):
    text = "Anna moved to Lisbon last summer."
    alone = (await models.encoder.embed([text]))[0]
    fillers = [f"filler {'word ' * length}" for length in range(0, 200, 10)]
    among = (await models.encoder.embed([*fillers, text]))[-1]
    # The int8 model quantises activations by the range of the whole batch.
    assert alone @ among > 0.98


async def test_a_text_beyond_the_encoder_is_cut_but_counted_whole(models):
    words = "Lisbon " * 600
    assert models.encoder.tokens.count(words) >= 600
    assert (await models.encoder.embed([words])).shape == (1, PROFILE.encoder.dimension)


async def test_annotations_name_entities_and_relations(models):
    first, second = await models.tagger.annotate(
        ["Melanie adopted a dog in Berlin yesterday.", "Nothing."]
    )
    assert Entity("Berlin", "GPE") in first.entities
    assert any(r.subject == "Melanie" and "adopted" in r.verb for r in first.relations)
    assert first.tokens == 8
    assert second.entities == ()
