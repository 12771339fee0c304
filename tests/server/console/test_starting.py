"""The console in a headless Chromium before a server whose models are still being loaded."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from server.http.pages import console_pages
from tests.server.console.browser import needs_chromium, visited
from tests.server.http.house import open_house

pytestmark = [pytest.mark.timeout(900), needs_chromium]

STARTING = (
    "UNAVAILABLE: the server is starting: its models are still being loaded. "
    "This page waits for it."
)
WATCH = """() => {
  window.announced = [];
  const status = document.getElementById("status");
  const watch = new MutationObserver(() => window.announced.push(status.textContent));
  watch.observe(status, { childList: true, characterData: true, subtree: true });
}"""
"""Keeps what assistive technology is told."""


@pytest.fixture
def starting():
    with open_house(pages=console_pages(), serve=False) as house:
        yield house


def ask_again(page):
    """As if the page's two seconds had gone by; if they really have, that will do."""
    with page.expect_response("**/v1/info"):
        page.clock.fast_forward(2000)


def test_a_page_waits_for_the_models_and_says_so_once(browser, starting):
    with visited(browser, starting.url, by_hand=True) as page:
        status = page.get_by_role("status")
        expect(status).to_have_text(STARTING)
        page.evaluate(WATCH)
        ask_again(page)
        ask_again(page)
        starting.grpc.call(starting.grpc.doors.serve(starting.grpc.engine))
        page.clock.fast_forward(2000)
        expect(status).to_have_text("0 histories")
        assert page.evaluate("window.announced") == ["0 histories"]
        expect(page.get_by_text("nothing real")).to_be_visible()
        assert page.locator("#failure").text_content() == ""


def test_another_credential_ends_the_waiting_of_the_one_before(browser, starting):
    with visited(browser, starting.url, by_hand=True) as page:
        asked = []
        page.on("request", lambda request: asked.append(request.headers.get("budgetmem-tenant")))
        page.get_by_text("Credential and tenant").click()
        page.get_by_label("Tenant").fill("other")
        with page.expect_response("**/v1/info"):
            page.get_by_role("button", name="Use").click()
        ask_again(page)
        ask_again(page)
        assert len(asked) >= 3
        assert set(asked) == {"other"}


def test_what_is_no_start_is_told_at_once(browser, starting):
    fault = {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "busy"}
    with visited(browser, starting.url, by_hand=True) as page:
        page.route("**/v1/info", lambda route: route.fulfill(status=429, json={"error": fault}))
        page.clock.fast_forward(2000)
        expect(page.get_by_role("alert")).to_have_text("RESOURCE_EXHAUSTED: busy")
