"""An LLM that grades answers: 1 for right, 0.5 for partly right, 0 for wrong (paper, evaluation).

A failed call or a reply that cannot be read is no score of 0: the case has no verdict.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from string import Template
from typing import Any

import json_repair

from budgetmem.backbone import Backbone, GenerationRequest
from budgetmem.config import Profile
from budgetmem.errors import (
    BackboneError,
    ConfigError,
    DeadlineExceeded,
    InvalidInput,
    Overloaded,
    ReplyError,
)
from budgetmem.replies import read_text
from budgetmem.schemas import sentences
from budgetmem.text import escape, one_line, quote_lines

SCORES = (0.0, 0.5, 1.0)

SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        # First, so that the score rests on it; short, so that the score is not cut off.
        "explanation": sentences(2),
        "score": {"enum": [0, 0.5, 1]},
    },
    "required": ["explanation", "score"],
    "additionalProperties": False,
}

_PROMPT = Path(__file__).parent / "prompts" / "judge.txt"
_SHOWN = 80


@dataclass(frozen=True)
class Case:
    """A prediction to grade. It is right if it agrees with any of the gold answers."""

    question: str
    gold_answers: tuple[str, ...]
    prediction: str

    def __post_init__(self) -> None:
        """Raises InvalidInput without a gold answer."""
        if not any(gold.strip() for gold in self.gold_answers):
            raise InvalidInput("gold_answers", f"there are none for {self.question!r}")


@dataclass(frozen=True)
class Verdict:
    """A grade: `score` is one of SCORES."""

    score: float
    explanation: str


CALL_FAILURES = (BackboneError, DeadlineExceeded, Overloaded)
"""Why a call gave no reply: the same case may be judged later. A ReplyError comes again."""


@dataclass(frozen=True)
class Judge:
    """Grades by any backbone, at temperature 0.

    `template` is the backbone's chat format with `{prompt}` in it (a profile's backbones have
    one), `max_tokens` the output limit. Failed calls are not repeated here: give it a backbone that
    retries.
    """

    backbone: Backbone
    template: str = "{prompt}"
    max_tokens: int = 256

    def __post_init__(self) -> None:
        """Raises ConfigError for options that cannot work."""
        if "{prompt}" not in self.template:
            raise ConfigError("the judge's template must contain {prompt}")
        if self.max_tokens < 1:
            raise ConfigError("the judge's max_tokens must be at least 1")

    async def grade(self, case: Case) -> Verdict:
        """One verdict.

        Raises ReplyError if the reply cannot be read, and what the backbone raises.
        """
        request = GenerationRequest(
            prompt=self.template.replace("{prompt}", render(case)),
            max_tokens=self.max_tokens,
            schema=SCHEMA,
        )
        completion = await self.backbone.generate(request)
        return parse_reply(completion.text)


def judge_name(backbone: str, profile: Profile) -> str:
    """What verdicts by a backbone of the profile are kept under: its weights, and 8 hex digits of
    what it is asked. Raises ConfigError for a backbone that the profile lacks."""
    if backbone not in profile.backbones:
        known = ", ".join(profile.backbones)
        raise ConfigError(f"--judge: {backbone!r} is not one of {known}")
    asked = json.dumps([_template().template, SCHEMA])
    digest = hashlib.sha256(asked.encode()).hexdigest()[:8]
    return f"{profile.backbones[backbone].identity}, prompt {digest}"


def render(case: Case) -> str:
    """The prompt, before the chat format: the texts of a case are escaped, they are data."""
    golds = "\n".join(
        f"<gold_answer>\n{quote_lines(escape(gold))}\n</gold_answer>"
        for gold in case.gold_answers
        if gold.strip()
    )
    return _template().substitute(
        question=quote_lines(escape(case.question)),
        gold_answers=golds,
        prediction=quote_lines(escape(case.prediction)),
    )


def parse_reply(reply: str) -> Verdict:
    """The verdict in a reply: JSON, perhaps in a fence, between prose, or slightly wrong.

    Raises ReplyError if there is no complete object with a `score`, if the score is none of SCORES
    (as a number or a string), or if several objects disagree. The paper's implementation gives 0
    where it finds no score, and takes any number for one.
    """
    found = [each for each in _objects(reply) if "score" in each]
    if not found:
        raise ReplyError(f"no complete JSON object with a score: {one_line(reply)[:_SHOWN]!r}")
    scores = {_score(each["score"]) for each in found}
    if len(scores) > 1:
        raise ReplyError(f"several scores in one reply: {sorted(scores)}")
    return Verdict(scores.pop(), read_text(found[-1], "explanation"))


def _objects(text: str) -> Iterator[Mapping[str, Any]]:
    """The outermost JSON objects of a text. From the first malformed one on, the rest is mended as
    a whole: what it quotes must not be taken for a reply."""
    decoder = json.JSONDecoder()
    start = text.find("{")
    while start >= 0:
        try:
            value, end = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            yield from _mended(text[start : text.rfind("}") + 1])
            return
        yield value
        start = text.find("{", end)


def _mended(text: str) -> Iterator[Mapping[str, Any]]:
    try:
        value = json_repair.loads(text, skip_json_loads=True)
    except (ValueError, RecursionError):
        return
    if isinstance(value, Mapping):
        yield value


def _score(value: object) -> float:
    # JSON's true is no score, although Python's is a number.
    if isinstance(value, (int, float, str)) and not isinstance(value, bool):
        with contextlib.suppress(ValueError, OverflowError):
            score = float(value)
            if score in SCORES:
                return score
    raise ReplyError(f"the score is {str(value)[:_SHOWN]!r}: it must be 0, 0.5 or 1")


@cache
def _template() -> Template:
    return Template(_PROMPT.read_text(encoding="utf-8").strip())
