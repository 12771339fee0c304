"""What a block of shell commands says, command by command."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from itertools import groupby

ENDS = {"&&", "||", ";", "|", "&"}
REDIRECTED = {">", ">>", "<", "2>"}
ASSIGNED = re.compile(r"[A-Za-z_][A-Za-z_0-9]*=")


def commands(text: str) -> Iterator[list[str]]:
    """The words of every command, without comments, redirections and variables set before it."""
    for line in _lines(text.replace("\\\n", " ")):
        parts = groupby(_words(line), key=lambda word: word in ENDS)
        for command in (_bare(list(words)) for is_end, words in parts if not is_end):
            if command:
                yield command


def _lines(text: str) -> Iterator[str]:
    """Lines, those joined that a quotation goes over."""
    held = ""
    for line in text.splitlines():
        held += line
        try:
            _words(held)
        except ValueError:  # no closing quotation yet
            held += "\n"
        else:
            yield held
            held = ""
    if held:
        raise ValueError(f"a quotation is not closed: {held!r}")


def _words(line: str) -> list[str]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars="&|;<>")
    lexer.whitespace_split = True
    return list(lexer)


def _bare(words: list[str]) -> list[str]:
    kept: list[str] = []
    given = iter(words)
    for word in given:
        if word in REDIRECTED:
            next(given)
        elif kept or not ASSIGNED.match(word):
            kept.append(word)
    return kept
