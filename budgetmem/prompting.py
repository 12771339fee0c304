"""Builds prompts: the memories first, the module's instruction last.

The part before the instruction is byte-identical for the modules that read the same chunks, so
that an engine with prefix caching reads the memories once. Text of a history is data: it is
escaped, and indented under its number, so that it cannot close its tag or pose as a prompt.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib import resources
from string import Template
from typing import Any

from budgetmem.dated_chunks import dated, under_dates
from budgetmem.errors import NotFound
from budgetmem.modules.base import Module
from budgetmem.periods import prose
from budgetmem.schemas import sentences
from budgetmem.text import escape, quote_lines
from budgetmem.types import Chunk, Workspace


@dataclass(frozen=True)
class Prompt:
    """A prompt before the chat template. `prefix` is the shareable part, `text` all of it."""

    prefix: str
    text: str


@dataclass(frozen=True)
class Style:
    """How a module is asked: in how many sentences it reasons first, at most.

    `reasoning_tokens` come on top of the output limit of the reply; they are more than so many
    sentences take, or the reply would be cut short for them.
    """

    sentences: int
    reasoning_tokens: int


STYLES: Mapping[str, Style] = {
    "direct": Style(sentences=0, reasoning_tokens=0),
    "stepwise": Style(sentences=2, reasoning_tokens=96),
    "reflective": Style(sentences=3, reasoning_tokens=160),
}


def fingerprint(modules: Iterable[Module]) -> str:
    """A hash of all that LLMs are asked and held to: of the prompts and schemas for an example.

    Numbers that were measured with one are not to be mixed with those of another. 16 hex digits.
    """
    example = Workspace.start("When did Ana move?", _EXAMPLE, datetime(2023, 7, 1))
    asked = [
        [
            module_prompt(module, style, example).text,
            # As a string: the order of properties is the order in which they are written.
            json.dumps(reply_schema(module, style, example)),
            STYLES[style].reasoning_tokens,
        ]
        for module in modules
        for style in STYLES
    ]
    text = json.dumps([asked, answer_prompt(_EXAMPLE[0].text, example).text])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


_EXAMPLE = (
    Chunk("1", "1", datetime(2023, 5, 8), ("1",), "Ana: I <moved> to Lisbon yesterday.", 9, 0.5),
    Chunk("2", "2", None, ("2",), "Ben: Is it warm there?\nAna: It is!", 9, 0.25),
)


def module_prompt(module: Module, style: str, work: Workspace) -> Prompt:
    """The prompt of one LLM rung over the chunks that the module reads."""
    prefix = _prefix(module.reads(work), work)
    return Prompt(prefix, prefix + _instruction(module.name, style, module.render(work)))


def answer_prompt(memory: str, work: Workspace) -> Prompt:
    """The answerer's prompt: it sees the extracted memory and the question, nothing else."""
    prefix = f"<memory>\n{quote_lines(escape(memory))}\n</memory>\n{_question(work)}"
    return Prompt(prefix, prefix + _instruction("answer", "direct", {}))


def reply_schema(module: Module, style: str, work: Workspace) -> Mapping[str, Any]:
    """The module's JSON schema for these chunks, with `reasoning` first where the style reasons.

    The grammar then refuses a number that no shown chunk has, which small models like to write.
    """
    schema = _numbered_up_to(module.schema, len(module.reads(work)))
    most = STYLES[style].sentences
    if most == 0:
        return schema
    return {
        **schema,
        "properties": {"reasoning": sentences(most), **schema["properties"]},
        "required": ["reasoning", *schema["required"]],
    }


def _numbered_up_to(schema: Mapping[str, Any], count: int) -> dict[str, Any]:
    """The schema with every integer, which is always the number of a chunk, at most `count`."""
    bounded: dict[str, Any] = {
        key: _numbered_up_to(value, count) if isinstance(value, Mapping) else value
        for key, value in schema.items()
    }
    if bounded.get("type") == "integer":
        bounded["maximum"] = max(count, bounded["minimum"])
    return bounded


def _prefix(chunks: Sequence[Chunk], work: Workspace) -> str:
    numbered = [
        f"[{number}] {quote_lines(escape(dated(chunk))).lstrip()}"
        for number, chunk in enumerate(chunks, 1)
    ]
    return f"<memories>\n{under_dates(chunks, numbered)}\n</memories>\n{_question(work)}"


def _question(work: Workspace) -> str:
    asked = "" if work.asked_at is None else f' asked="{prose(work.asked_at)}"'
    return f"<question{asked}>\n{quote_lines(escape(work.query))}\n</question>\n"


def _instruction(module: str, style: str, values: Mapping[str, str]) -> str:
    return Template(_template(module, style)).substitute(values)


@cache
def _template(module: str, style: str) -> str:
    file = resources.files("budgetmem") / "prompts" / module / f"{style}.txt"
    if not file.is_file():
        raise NotFound(f"prompt {module}/{style}.txt does not exist")
    return file.read_text(encoding="utf-8").strip()
