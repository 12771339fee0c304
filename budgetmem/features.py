"""What the router sees beside embeddings: the state's own numbers.

They cost no model call. Each has a name, which a router's artifact lists; a router is asked with
the features that it names, in its order, so this list may grow without breaking older artifacts.
"""

from __future__ import annotations

import itertools
import math
import re
import sys
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from budgetmem.backbone import Vectors
from budgetmem.chunking import instant
from budgetmem.date_rules import HINT
from budgetmem.errors import ConfigError
from budgetmem.modules.summary import WORDS
from budgetmem.stages import STAGES
from budgetmem.text import keywords, words
from budgetmem.tiers import Tier
from budgetmem.types import Chunk, Finding, Step, Workspace
from budgetmem.vectors import mean_direction

Values = Mapping[str, float]

SECONDS_A_DAY = 86400.0

LEAST_LOGPROB = -100.0
"""Lower mean log-probabilities are taken as this: no model is as unsure of all of its tokens."""

_ASKS = {
    "who": r"who|whom|whose",
    "what": r"what",
    "when": r"when|what (?:date|day|month|year|time)",
    "where": r"where|(?:what|which) (?:city|country|place|state|town)",
    "which": r"which",
    "why": r"why|what (?:reason|made|led|inspired|motivated)",
    "how": r"how(?! (?:many|much|long|often|old))",
    "how_many": r"how (?:many|much|often|old)|what number",
    "how_long": r"how long|how many (?:days|weeks|months|years|hours)",
    "would": r"would|could|might|likely|probably",
    "list": r"what (?:are|were|kinds?|types?|activities|\w+s\b)|which \w+s\b",
}
_PATTERNS = {name: re.compile(rf"\b(?:{form})\b", re.IGNORECASE) for name, form in _ASKS.items()}
_YES_NO = re.compile(r"^(?:is|are|was|were|do|does|did|has|have|had|can|will)\b", re.IGNORECASE)


@dataclass(frozen=True)
class State:
    """What is known when a module waits for its tier.

    `steps` are those of the stages before. `query` is the query's vector, None if the encoder was
    not to be paid; `vectors` are those of the retrieved chunks, by id.
    """

    work: Workspace
    steps: tuple[Step, ...] = ()
    query: Vectors | None = None
    vectors: Mapping[str, Vectors] = field(default_factory=dict)

    def similarities(self, chunks: Iterable[Chunk]) -> list[float]:
        """Cosines of the query with these chunks, best first; none without vectors."""
        if self.query is None:
            return []
        found = [self.vectors[chunk.id] for chunk in chunks if chunk.id in self.vectors]
        return sorted((float(self.query @ vector) for vector in found), reverse=True)


def _share(wanted: str, text: str) -> float:
    """The share of the distinct keywords of `wanted` that `text` has."""
    asked = set(keywords(wanted))
    return len(asked & set(keywords(text))) / len(asked) if asked else 0.0


def _question(state: State) -> Values:
    query = state.work.query
    written = words(query)
    return {
        "words": math.log1p(len(written)),
        "keywords": math.log1p(len(set(keywords(query)))),
        "names": math.log1p(sum(word[:1].isupper() for word in written[1:])),
        "dated": float(HINT.search(query) is not None),
        "yes_no": float(_YES_NO.search(query) is not None),
        **{name: float(form.search(query) is not None) for name, form in _PATTERNS.items()},
    }


def _retrieved(state: State) -> Values:
    chunks = state.work.retrieved
    scores = sorted((max(chunk.score, 0.0) for chunk in chunks), reverse=True)
    best = scores[0] if scores else 0.0
    times = [instant(chunk.time) for chunk in chunks if chunk.time is not None]
    days = (max(times) - min(times)).total_seconds() / SECONDS_A_DAY if times else 0.0
    return {
        **_chunks(state, chunks),
        "sessions": math.log1p(len({chunk.session for chunk in chunks})),
        "days": math.log1p(max(days, 0.0)),
        "score_gap": (best - scores[1]) / best if len(scores) > 1 and best > 0 else 0.0,
        "score_share": best / sum(scores) if best > 0 else 0.0,
    }


def _kept(state: State) -> Values:
    work = state.work
    tokens = sum(chunk.tokens for chunk in work.retrieved)
    return {
        **_chunks(state, work.kept),
        "share": len(work.kept) / max(len(work.retrieved), 1),
        "token_share": sum(chunk.tokens for chunk in work.kept) / max(tokens, 1),
    }


def _chunks(state: State, chunks: Sequence[Chunk]) -> Values:
    similar = state.similarities(chunks)
    found = [_share(state.work.query, chunk.text) for chunk in chunks]
    return {
        "chunks": math.log1p(len(chunks)),
        "tokens": math.log1p(sum(chunk.tokens for chunk in chunks)),
        "words_found": _share(state.work.query, " ".join(chunk.text for chunk in chunks)),
        "words_in_best": max(found, default=0.0),
        "similarity_best": similar[0] if similar else 0.0,
        "similarity_mean": sum(similar) / len(similar) if similar else 0.0,
        "similarity_gap": similar[0] - similar[1] if len(similar) > 1 else 0.0,
    }


def _scores(state: State) -> Values:
    """Of the retrieved and of the kept chunks: the best one's score, and the sum of the best ones'
    that a memory of each tier has room for.

    Scores of the ranking `lines` are probabilities: together they say how likely the evidence is
    among what fits, and so what a longer memory may add (docs/training.md).
    """
    work = state.work
    return {
        f"{name}_{what}": value
        for name, chunks in (("retrieved", work.retrieved), ("kept", work.kept))
        for what, value in _sums(chunks).items()
    }


def _sums(chunks: Sequence[Chunk]) -> Values:
    ranked = sorted(chunks, key=lambda chunk: -chunk.score)
    scores = [max(chunk.score, 0.0) for chunk in ranked]
    words_up_to = list(itertools.accumulate(len(chunk.text.split()) for chunk in ranked))
    fitting = {tier.label: bisect_right(words_up_to, most) for tier, most in WORDS.items()}
    return {
        "best": _log(max(scores, default=0.0)),
        **{name: _log(sum(scores[:count])) for name, count in fitting.items()},
    }


def _log(score: float) -> float:
    """log(1 + score); finite for sums that are not."""
    return math.log1p(min(score, sys.float_info.max))


def _steps(state: State) -> Values:
    by_module = {step.module: step for step in state.steps}
    values: dict[str, float] = {}
    for module in (*STAGES["filter"], *STAGES["extract"]):
        step = by_module.get(module)
        values[f"{module}_mid"] = float(step is not None and step.choice.tier is Tier.MID)
        values[f"{module}_high"] = float(step is not None and step.choice.tier is Tier.HIGH)
        values[f"{module}_logprob"] = _logprob(step)
    values["cut"] = float(sum(step.finish_reason == "length" for step in state.steps))
    values["fell"] = float(sum(bool(step.fallbacks) for step in state.steps))
    return values


def _logprob(step: Step | None) -> float:
    """The mean log-probability of the step's reply; 0 without one, or if the engine gave none."""
    found = None if step is None else step.mean_logprob
    if found is None or not math.isfinite(found):
        return 0.0
    return min(max(found, LEAST_LOGPROB), 0.0)


def _findings(state: State) -> Values:
    work = state.work
    found: list[Finding] = []
    values: dict[str, float] = {}
    for module in STAGES["extract"]:
        of_module = work.findings.get(module, ())
        values[module] = math.log1p(len(of_module))
        found += of_module
    text = " ".join(finding.text for finding in found)
    return {
        **values,
        "words": math.log1p(len(words(text))),
        "words_found": _share(work.query, text),
        "literal": _share(text, " ".join(chunk.text for chunk in work.kept)),
        "names": math.log1p(sum(word[:1].isupper() for word in words(text))),
        "chunks": len({id_ for finding in found for id_ in finding.chunk_ids})
        / max(len(work.kept), 1),
    }


GROUPS: Mapping[str, Callable[[State], Values]] = {
    "question": _question,
    "retrieved": _retrieved,
    "kept": _kept,
    "steps": _steps,
    "findings": _findings,
    "scores": _scores,
}
"""The features by group: a feature's full name is `group.name`.

`question` reads the query alone; `retrieved` and `kept` how many chunks and tokens there are (as
log(1 + n)), how much of the question's content words and how near to its embedding they are;
`steps` the tiers chosen so far, mean log-probabilities of their replies (0 without an LLM), replies
cut at the limit, and fallbacks; `findings` how much was found, and how much of it stands in the
kept chunks literally; `scores` how sure retrieval is of what a memory has room for (log(1 + sum)).
"""


def all_features(state: State) -> dict[str, float]:
    """Every feature of a state, by full name."""
    return _of_groups(state, GROUPS)


def _of_groups(state: State, groups: Iterable[str]) -> dict[str, float]:
    return {
        f"{group}.{name}": value for group in groups for name, value in GROUPS[group](state).items()
    }


NAMES: tuple[str, ...] = tuple(all_features(State(Workspace.start("", ()))))
"""Full names of all features, in order."""


def observe(state: State, names: Sequence[str] = NAMES) -> NDArray[np.float32]:
    """The named features of a state: float32 [len(names)]."""
    values = _of_groups(state, {name.partition(".")[0] for name in names})
    return np.array([values[name] for name in names], dtype=np.float32)


def router_inputs(
    state: State, stage: str, dimension: int, names: Sequence[str]
) -> tuple[Vectors, Vectors, NDArray[np.float32]]:
    """What a router sees of the state in which a stage waits: float32 [dimension] twice (the query,
    and the direction of the chunks that stand for the state) and its features [len(names)].

    A vector is all zeros where it was not made, since the encoder was not to be paid.
    """
    absent = np.zeros(dimension, dtype=np.float32)
    chunks = state_chunks(state.work, stage)
    found = [state.vectors[chunk.id] for chunk in chunks if chunk.id in state.vectors]
    return (
        absent if state.query is None else state.query,
        mean_direction(found) if found else absent,
        observe(state, names),
    )


def check_names(names: Sequence[str]) -> None:
    """Raises ConfigError naming the features that this version does not know."""
    if unknown := sorted(set(names) - set(NAMES)):
        raise ConfigError(f"unknown router features: {', '.join(unknown)}")


def state_chunks(work: Workspace, stage: str) -> tuple[Chunk, ...]:
    """The chunks whose mean vector stands for the state in which a stage waits.

    Filter: the retrieved ones. The extracting modules: those kept. Summary: those kept ones that
    the findings cite, or all kept ones if there is none. (The paper embeds the findings' text;
    what they cite needs no call of the encoder, and can be recorded without quoting anybody.)
    """
    if stage == "filter":
        return work.retrieved
    if stage != "summary":
        return work.kept
    found = (finding for name in STAGES["extract"] for finding in work.findings.get(name, ()))
    cited = {id_ for finding in found for id_ in finding.chunk_ids}
    return tuple(chunk for chunk in work.kept if chunk.id in cited) or work.kept
