"""The pictures of docs/console.md: `python -m tests.server.console.pictures [FOLDER]`.

All that is seen in them is made up: the conversation, the replies of the models, the frontier.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.server.console.browser import add_example, ask, opened_browser, visited
from tests.server.console.scripted import open_console

OUT = Path(__file__).parents[3] / "docs" / "images"
SIZE = {"width": 1280, "height": 780}


def main(out: Path) -> None:
    """Writes the pictures into `out`."""
    out.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        open_console(Path(folder)) as console,
        opened_browser() as browser,
    ):
        with visited(browser, console.url, viewport=SIZE, color_scheme="light") as page:
            add_example(page)
            page.get_by_label("Cost weight").fill("0.2")
            ask(page)
            _taken(page, "Ask", out / "console-ask.png")
            _taken(page, "What was done", out / "console-run.png")
        with visited(browser, console.url, viewport=SIZE, color_scheme="dark") as page:
            expect(page.locator("#turns li").first).to_be_visible()
            page.get_by_role("textbox", name="Question").fill("When did Idris buy the dinghy?")
            ask(page, "Compare three budgets")
            _taken(page, "What was done", out / "console-compare.png")
            page.get_by_role("heading", name="Live metrics").click()
            expect(page.locator(".tile").first).to_be_visible()
            page.locator("#metrics-box").screenshot(path=out / "console-metrics.png")


def _taken(page: Page, heading: str, file: Path) -> None:
    """What is seen from that heading on."""
    page.get_by_role("heading", name=heading).evaluate(
        "heading => scrollTo({ top: heading.getBoundingClientRect().top + scrollY - 70,"
        " behavior: 'instant' })"
    )
    page.screenshot(path=file)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else OUT)
