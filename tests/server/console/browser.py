"""A headless Chromium: Debian's, or the one that BUDGETMEM_CHROMIUM names."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

pytest.importorskip("playwright", reason="needs the `dev` extra")

from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

CHROMIUM = os.environ.get("BUDGETMEM_CHROMIUM") or shutil.which("chromium")
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="Chromium is not installed (Debian: apt-get install chromium)"
)
WAIT_MS = 120_000
"""For what takes milliseconds, on a machine that may be busy."""

_STATUS = "Failed to load resource: the server responded with a status of "
REFUSED = (f"{_STATUS}4", f"{_STATUS}503")
"""What Chromium says of every request that a server refuses; the page says it to people."""

CLICKS = """addEventListener("click", () => {
  sessionStorage.clicks = Number(sessionStorage.clicks ?? 0) + 1;
}, true);"""


LOADED = """() => {
  const text = (id) => document.getElementById(id).textContent;
  return text("failure") !== "" || !["", "Loading"].includes(text("status"));
}"""
"""Whether the first load of the page is over: it sets the form, and shows the histories."""


@contextmanager
def opened_browser() -> Iterator[Browser]:
    """Without its sandbox, which needs more rights than a container gives: it sees our page."""
    expect.set_options(timeout=WAIT_MS)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"], timeout=WAIT_MS
        )
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def visited(
    browser: Browser, url: str, *, by_hand: bool = False, **options: object
) -> Iterator[Page]:
    """The page once it has loaded, which counts its clicks.

    Its clock can be put forward `by_hand`, by `page.clock`. In the end there must have been no
    error in it, and no other host asked.
    """
    context = browser.new_context(**options)
    context.set_default_timeout(WAIT_MS)
    page = context.new_page()
    faults, asked = [], []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
    context.on("request", lambda request: asked.append(urlsplit(request.url).netloc))
    page.add_init_script(CLICKS)
    if by_hand:
        page.clock.install()
    page.goto(url)
    page.wait_for_function(LOADED)
    yield page
    context.close()
    assert [each for each in faults if not each.startswith(REFUSED)] == []
    assert set(asked) == {urlsplit(url).netloc}


def add_example(page: Page) -> None:
    """Adds the example and waits until it is there and chosen."""
    page.get_by_role("button", name="Add the example").click()
    expect(page.get_by_text("1 – 83 of 83")).to_be_visible()


def ask(page: Page, button: str = "Extract") -> None:
    """Asks what is in the form, and waits until it is done."""
    page.get_by_role("button", name=button).click()
    expect(page.get_by_role("status")).to_have_text("Done")


@contextmanager
def held(page: Page, url: str) -> Iterator[list[Route]]:
    """Holds up the first request to `url`, which what is within leads to; later ones go on."""
    first: list[Route] = []
    page.route(url, lambda route: route.continue_() if first else first.append(route))
    yield first
    while not first:
        page.wait_for_timeout(10)
