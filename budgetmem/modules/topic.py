"""Topic: what the memories say on the question's topics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from budgetmem.dates import annotate
from budgetmem.modules.base import LocalRung, Tools
from budgetmem.modules.extraction import list_schema, nothing, read_findings
from budgetmem.modules.lines import Line, lines, sentence_lines
from budgetmem.modules.ranking import Scores, coverage, diverse, similarity
from budgetmem.schemas import SENTENCE, STRING
from budgetmem.text import is_content, keyphrases, keywords, one_line, words
from budgetmem.types import Chunk, Finding, Workspace

LIMIT = 6
"""Topics that a local rung returns at most."""

TELLING = 2
"""Content words that a sentence needs to be a fact."""

CANDIDATES = 40
"""Phrases that are looked up at most."""

_FIELDS = {"topic": STRING, "fact": SENTENCE}


class Topic:
    """Extracts what is said on the topics that the question touches."""

    name = "topic"
    about = "Extracts the topics that the question touches, and what is said about each of them."
    schema: Mapping[str, Any] = list_schema("facts", _FIELDS)

    @property
    def local(self) -> Mapping[str, LocalRung]:
        return {"rules": by_keyphrases, "specialist": by_noun_phrases, "as_found": nothing}

    def reads(self, work: Workspace) -> tuple[Chunk, ...]:
        return work.kept

    def render(self, work: Workspace) -> Mapping[str, str]:
        return {}

    def parse(self, reply: str, work: Workspace) -> tuple[Finding, ...]:
        return read_findings(reply, "facts", tuple(_FIELDS), work, _from_reply)


async def by_keyphrases(work: Workspace, tools: Tools) -> tuple[Finding, ...]:
    """Keyphrases, each with the sentence that shares most words with the query."""
    sentences = _telling(sentence_lines(lines(work.kept)))
    phrases = keyphrases([line.text for line in sentences], CANDIDATES)
    scores = coverage(work.query, [line.told for line in sentences])
    topics: dict[int, str] = {}
    for phrase in phrases:
        at = _best_sentence(phrase, sentences, scores)
        if at is not None and scores[at] > 0:
            topics.setdefault(at, phrase)
    chosen = sorted(topics, key=lambda i: -scores[i])[:LIMIT]
    return tuple(_fact(topics[i], sentences[i], float(scores[i])) for i in chosen)


async def by_noun_phrases(work: Workspace, tools: Tools) -> tuple[Finding, ...]:
    """The tagger's noun phrases by marginal relevance, each with its most similar sentence."""
    turns = lines(work.kept)
    sentences = _telling(sentence_lines(turns))
    annotations = await tools.annotate([turn.text for turn in turns])
    phrases = _phrases([phrase for a in annotations for phrase in a.noun_phrases])
    if not (sentences and phrases):
        return ()
    texts = [line.told for line in sentences]
    scores, vectors = await similarity(tools, work.query, [*texts, *phrases])
    said, named = scores[: len(texts)], scores[len(texts) :]
    best = [_best_sentence(phrase, sentences, said) for phrase in phrases]
    relevance = np.array(
        [n + (0.0 if b is None else said[b]) for n, b in zip(named, best, strict=True)]
    )
    facts: dict[int, Finding] = {}
    for i in diverse(relevance / 2, vectors[len(texts) :], len(phrases)):
        at = best[i]
        if at is not None and at not in facts:
            facts[at] = _fact(phrases[i], sentences[at], float(said[at]))
    return tuple(facts.values())[:LIMIT]


def _telling(sentences: Sequence[Line]) -> list[Line]:
    """The sentences that say something: "Hi Ben!" is no fact."""
    return [line for line in sentences if len(keywords(line.text)) >= TELLING]


def _phrases(noun_phrases: Sequence[str]) -> list[str]:
    """Noun phrases without their function words at the edges, each once, at most CANDIDATES."""
    seen: dict[tuple[str, ...], str] = {}
    for phrase in noun_phrases:
        core = one_line(phrase).split()
        while core and not any(map(is_content, words(core[0]))):
            core = core[1:]
        stems = keywords(" ".join(core))
        if stems:
            seen.setdefault(stems, " ".join(core))
    return list(seen.values())[:CANDIDATES]


def _best_sentence(phrase: str, sentences: Sequence[Line], scores: Scores) -> int | None:
    wanted = phrase.casefold()
    holding = [i for i, line in enumerate(sentences) if wanted in one_line(line.text).casefold()]
    return max(holding, key=lambda i: scores[i], default=None)


def _fact(topic: str, line: Line, score: float) -> Finding:
    fields = {"topic": topic, "fact": line.told}
    return Finding("topic", line.told, line.chunk_ids, fields, score)


def _from_reply(values: Mapping[str, str], chunk: Chunk) -> Finding:
    return Finding("topic", annotate(values["fact"], chunk.time), (chunk.id,), dict(values))
