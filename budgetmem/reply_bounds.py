"""How long a reply can be: what goes on beyond that does not end by itself, and is given up.

Time limits are the callers', and not every caller has one. Without these bounds a model that talks
on and on would be read for ever, and into memory.
"""

from __future__ import annotations

from dataclasses import dataclass

from budgetmem.errors import BackboneError

LONGEST_SILENCE_S = 1800.0
"""For how long a model may say nothing to a request. Only a caller without a deadline waits so
long, and a model that hangs would else keep it, and all that it holds, for ever. Where dozens of
prompts are sent at once to a slow CPU, the last of them is read after some ten minutes."""

SPARE_TOKENS = 1024
"""What a reply may have beyond twice what it was asked for. Servers do not count alike, and some
do not know the limit by the name that it is sent under, and keep to one of their own."""

TOKEN_CHARACTERS = 256
"""Twice as many as the longest tokens have, which are runs of spaces."""

MOST_PARTS = 2**17
"""Of a stream. A token comes in one part or in a few, and hosted models may think in tens of
thousands of them, of which the reply that they come to has none."""


@dataclass
class ReplySize:
    """Of one reply, which grows as it comes. `model` is what errors name it by."""

    model: str
    max_tokens: int
    tokens: int = 0
    characters: int = 0
    parts: int = 0

    def add(self, text: str, tokens: int = 0) -> None:
        """One more part: its share of the reply's text, and how many tokens that is, if it says so.

        Raises BackboneError for a reply that has clearly passed `max_tokens`.
        """
        self.parts += 1
        self.tokens += tokens
        self.characters += len(text)
        most = 2 * self.max_tokens + SPARE_TOKENS
        if (
            self.tokens > most
            or self.characters > TOKEN_CHARACTERS * most
            or self.parts > MOST_PARTS
        ):
            raise BackboneError(
                f"{self.model} does not stop: asked for {self.max_tokens} tokens at most, it sent "
                f"{self.characters} characters in {self.parts} parts, {self.tokens} tokens by its "
                "own count"
            )
