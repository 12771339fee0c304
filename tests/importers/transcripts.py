"""Transcripts that the command line and the console read alike, and what they are."""

from __future__ import annotations

import json
import random
from pathlib import Path

CASES = json.loads(Path(__file__).with_name("transcripts.json").read_text(encoding="utf-8"))
"""`turns` are [session by number, time, speaker, text]; or `fault` is the line that is refused."""

PIECES = (
    *("Ana: One.", "Bo:", "Bo:\ttwo: 2", "Bo:2", " Ana : x ", "É: y", "A_b: z", "_a: b", "$: c"),
    *("", "  ", "words", "https://example.org", "10:30 then", "Note 10:30", "{", "[x]"),
)
DAYS = (
    *("2023-05-08", "2023-5-8", "2023/12/31", "2024-02-29", "2023-02-29", "2023-13-01"),
    *(
        "8 May 2023",
        "08  september 2023",
        "8 Sept 2023",
        "8 SEP 2023",
        "8 May, 2023",
        "8 Jun, 2023",
    ),
    *("May 8, 2023", "Jun 8, 2023", "june 31, 2023", "May 8 2023", "May 8,2023", "5 8 2023"),
)
TIMES = (
    *("", " 14:00", " 4:5", " 14:00:59", " 14:00:60", " 24:00", "T14:00", "t9:00:01", ", 9:00"),
    *(" 2:00 pm", ", 12:59 AM", " 12:00 PM", " 0:30 am", " 13:00 pm", " 2:00pm", ",9:00", " x"),
)
AROUND = (("", ""), ("# ", ""), ("[", "]"), ("--- ", " ---"), ("(", ") x"))


def made(count: int, seed: int = 1) -> list[str]:
    """Transcripts of pieces that fit together well or badly."""
    draw = random.Random(seed)

    def line() -> str:
        if draw.random() < 0.6:
            return draw.choice(PIECES)
        before, after = draw.choice(AROUND)
        return f"{before}{draw.choice(DAYS)}{draw.choice(TIMES)}{after}"

    def text() -> str:
        first = draw.choice(["Ana: Hi.", line()])
        return draw.choice(["\n", "\r\n"]).join(
            [first, *(line() for _ in range(draw.randrange(6)))]
        )

    return [text() for _ in range(count)]
