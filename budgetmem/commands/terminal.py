"""What is said to people, on a terminal."""

from __future__ import annotations

import re

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""C0 and C1 but for tab and newline."""


JSON_ESCAPES = {code: f"\\u{code:04x}" for code in (0x7F, *range(0x80, 0xA0))}
"""Of control characters that JSON may hold as they are."""


def printable(text: str) -> str:
    """Text of a history, or of a server, for a terminal, which would obey its control characters:
    they rename windows, hide what was printed before, or type in the user's name."""
    return _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", text)
