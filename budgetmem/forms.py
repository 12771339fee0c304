"""How a turn is written as a line, and read back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from budgetmem.types import Turn

_SAID = re.compile(
    r'^(?P<speaker>[^\n:"]{1,40}?) said, "(?P<text>.*?)"?(?: and shared (?P<shared>.*))?$'
)
_SPOKEN = re.compile(r"^(?P<speaker>[^\s:.!?\"\[][^:.!?\"\n\[]{0,39}):\s+(?P<text>.+)$")


@dataclass(frozen=True)
class Form:
    """How a turn is written: `opening` SPEAKER `middle` BODY `closing`, the caption in `shared`."""

    middle: str
    closing: str
    shared: str
    one_line: bool = True

    def body(self, turn: Turn) -> str:
        return " ".join(turn.text.split()) if self.one_line else turn.text

    def caption(self, turn: Turn) -> str:
        return self.shared.format(caption=turn.caption) if turn.caption else ""


FORMS: Mapping[str, Form] = {
    "line": Form(": ", "", " [shares an image: {caption}]"),
    "said": Form(' said, "', '"', " and shared {caption}", one_line=False),
}
"""`line` is this project's form; `said` is the one of the paper's LoCoMo protocol."""


def parsed(written: str) -> tuple[str, str]:
    """The speaker (empty if none is named) and what was said, from a line in any of FORMS."""
    said = _SAID.match(written)
    if said:
        shared = f" [shares {said['shared']}]" if said["shared"] else ""
        return said["speaker"].strip(), said["text"] + shared
    spoken = _SPOKEN.match(written)
    return (spoken["speaker"].strip(), spoken["text"]) if spoken else ("", written)
