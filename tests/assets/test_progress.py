from __future__ import annotations

import io

import pytest
from rich.console import Console

from budgetmem.assets.progress import Lines, Silent, Terminal, Unit, progress_for


@pytest.mark.parametrize(
    ("unit", "total", "size"), [("bytes", 4_000_000, "4.0 MB"), ("parts", 8, "8 parts")]
)
def test_a_log_gets_a_line_per_quarter(unit: Unit, total: int, size: str) -> None:
    log = io.StringIO()
    with Lines(log).stage("model", total, unit) as advance:
        for _ in range(8):
            advance(total // 8)
    expected = [f"model ({size})", "model: 25 %", "model: 50 %", "model: 75 %"]
    assert log.getvalue().splitlines() == expected


def test_a_terminal_gets_a_bar() -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=100)
    with Terminal(console).stage("model", 22, "parts") as advance:
        advance(7)
    assert "model" in screen.getvalue()
    assert "7/22" in screen.getvalue()


def test_the_stream_chooses() -> None:
    assert isinstance(progress_for(io.StringIO()), Lines)
    assert isinstance(progress_for(io.StringIO(), quiet=True), Silent)
