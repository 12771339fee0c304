"""The console for everybody: axe-core, keyboard, narrow screens; and for those alone who may."""

from __future__ import annotations

import json
from contextlib import contextmanager
from datetime import datetime, timezone

import pytest

pytest.importorskip("budgetmem._core", reason="the C++ core is not built")
pytest.importorskip("onnxruntime", reason="needs the `embedded` extra")
pytest.importorskip("axe_playwright_python", reason="needs the `dev` extra")

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from server.security.api_keys import ApiKeys, new_key
from server.security.key_file import change_keys
from server.security.principal import Scope
from server.security.security import guarded
from tests.server.console.browser import add_example, ask, held, needs_chromium, visited
from tests.server.console.scripted import open_console

pytestmark = [pytest.mark.timeout(900), needs_chromium]


def violations(page):
    """What axe-core finds, of any weight: rules and where they are broken."""
    found = Axe().run(page).response["violations"]
    return [
        (each["id"], each["impact"], [node["html"] for node in each["nodes"]]) for each in found
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_wrong_empty_and_with_everything_open(browser, console, scheme):
    with visited(browser, console.url, color_scheme=scheme) as page:
        expect(page.get_by_role("button", name="Add the example")).to_be_visible()
        assert violations(page) == []
        add_example(page)
        ask(page, "Compare three budgets")
        page.get_by_role("heading", name="Live metrics").click()
        expect(page.locator(".tile").first).to_be_visible()
        page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
        assert violations(page) == []
        page.get_by_role("button", name="Delete history").click()
        expect(page.get_by_role("dialog")).to_be_visible()
        assert violations(page) == []


def test_axe_would_find_a_fault(page):
    page.evaluate("document.querySelector('label[for=question]').remove()")
    assert [rule for rule, *_ in violations(page)] == ["label"]


def test_all_can_be_done_by_keyboard_alone(page):
    page.get_by_role("button", name="Add the example").press("Enter")
    expect(page.get_by_role("textbox", name="Question")).to_be_focused()
    for control in ("Strategy", "Cost weight", "Ceiling in USD", "Ceiling in milliseconds"):
        page.keyboard.press("Tab")
        expect(page.get_by_label(control)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".memory")).to_be_visible()


def test_a_choice_keeps_the_focus_and_is_told(page, console):
    put(console, a=1, b=1)
    page.reload()
    button = page.get_by_role("button", name="b 1 turns")
    button.press("Enter")
    expect(page.get_by_role("status")).to_have_text("b is chosen")
    expect(button).to_be_focused()
    pressed = [
        each.get_attribute("aria-pressed") for each in page.locator("#histories button").all()
    ]
    assert pressed == ["false", "true"]


def test_pages_are_told_and_their_end_keeps_the_focus_near(page, console):
    put(console, long=150)
    page.reload()
    expect(page.get_by_text("1 – 100 of 150")).to_be_visible()
    page.get_by_role("button", name="Page after").press("Enter")
    expect(page.get_by_role("status")).to_have_text("Turns 101 – 150 of 150")
    expect(page.get_by_role("button", name="Page before")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text("Turns 1 – 100 of 150")
    expect(page.get_by_role("button", name="Page after")).to_be_focused()


def test_a_deletion_leaves_the_focus_at_what_there_is_to_choose(page, console):
    put(console, a=1, b=1, c=1)
    page.reload()
    page.get_by_role("button", name="b 1 turns").focus()
    for name, next_one in (("b", "a 1 turns"), ("a", "c 1 turns"), ("c", "Add the example")):
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name=f"Turns of {name}")).to_be_visible()
        page.get_by_role("button", name="Delete history").press("Enter")
        page.get_by_role("button", name="Delete it").press("Enter")
        expect(page.get_by_role("status")).to_have_text(f"{name} is deleted: 1 turns")
        expect(page.get_by_role("button", name=next_one)).to_be_focused()


def test_a_run_that_is_stopped_leaves_the_focus_at_the_question(page, console):
    add_example(page)
    console.pace.held = True
    page.get_by_role("button", name="Extract").press("Enter")
    expect(page.locator(".chunk").first).to_be_visible()
    page.get_by_role("button", name="Stop").press("Enter")
    expect(page.locator("article")).to_contain_text("Stopped.")
    expect(page.get_by_role("textbox", name="Question")).to_be_focused()
    console.release()


def test_a_narrow_screen_scrolls_in_one_direction_alone(browser, console):
    with visited(browser, console.url, viewport={"width": 360, "height": 740}) as page:
        add_example(page)
        ask(page, "Compare three budgets")
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= 360


def test_nothing_is_shown_without_a_key_and_metrics_not_without_admin(browser, tmp_path):
    scopes = {"some": [Scope.READ, Scope.WRITE], "all": list(Scope)}
    now = datetime.now(timezone.utc)
    made = {name: new_key("acme", each, now) for name, each in scopes.items()}
    change_keys(tmp_path / "keys.json", lambda _: tuple(record for _, record in made.values()))
    with (
        open_console(tmp_path, guarded(ApiKeys(tmp_path / "keys.json"))) as console,
        visited(browser, console.url) as page,
    ):
        expect(page.get_by_role("alert")).to_contain_text("UNAUTHENTICATED")
        give(page, made["some"][0])
        add_example(page)
        page.get_by_role("heading", name="Live metrics").click()
        expect(page.locator("#metrics")).to_contain_text("needs the scope 'admin'")
        give(page, made["all"][0])
        expect(page.locator(".tile").first).to_be_visible()
        assert made["all"][0] not in page.evaluate(
            "JSON.stringify({...localStorage}) + document.cookie"
        )


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"key": "ключ"}, "UNAUTHENTICATED: the API key or token has a character that none has"),
        ({"key": "clé"}, "UNAUTHENTICATED: the API key or token has a character that none has"),
        ({"tenant": "Ünï"}, "INVALID_ARGUMENT: the tenant has a character that none has"),
    ],
)
def test_what_no_header_can_carry_is_told_by_its_field(page, given, told):
    add_example(page)
    give(page, **given)
    expect(page.get_by_role("alert")).to_contain_text(told)
    assert page.locator("#histories button").count() == 0
    give(page)
    expect(page.locator("#histories button")).to_have_text(["example 83 turns"])


@pytest.mark.parametrize("bad", ["bad", "ключ"])
def test_nothing_of_a_tenant_is_left_when_the_next_key_is_refused(browser, tmp_path, bad):
    key, record = new_key("acme", list(Scope), datetime.now(timezone.utc))
    change_keys(tmp_path / "keys.json", lambda _: (record,))
    with (
        open_console(tmp_path, guarded(ApiKeys(tmp_path / "keys.json"))) as console,
        visited(browser, console.url) as page,
    ):
        page.get_by_role("heading", name="Live metrics").click()
        refused = text_after(page, bad)
        give(page, key)
        add_example(page)
        ask(page)
        expect(page.locator(".tile").first).to_be_visible()
        page.get_by_role("button", name="Delete history").click()
        page.get_by_role("button", name="Keep it").click()
        assert text_after(page, bad) == refused


def test_an_ingest_does_not_go_on_into_the_next_tenant(page, console):
    lines = [{"id": f"t{n}", "speaker": "Ana", "text": f"word {n}"} for n in range(450)]
    page.get_by_text("Add a history", exact=True).click()
    page.get_by_label("Name").fill("long")
    page.get_by_label("Conversation").fill("\n".join(map(json.dumps, lines)))
    with held(page, "**/*:ingest") as first:
        page.get_by_role("button", name="Add", exact=True).click()
    with ended(page, first):
        give(page, tenant="another")
    expect(page.get_by_role("status")).to_have_text("0 histories")
    add_example(page)
    found = console.house.http.get("/v1/histories", headers={"budgetmem-tenant": "another"})
    assert [each["name"] for each in found.json()["histories"]] == ["example"]


def test_a_late_list_of_a_tenants_is_not_shown_to_the_next(page, console):
    turns = [{"id": "t1", "speaker": "Ana", "text": "Hi."}]
    console.house.http.post("/v1/histories/private:ingest", json={"turns": turns})
    with held(page, "**/v1/histories") as first:
        give(page)
    with ended(page, first):
        give(page, tenant="another")
    expect(page.get_by_role("status")).to_have_text("0 histories")
    assert page.locator("#histories button").count() == 0


def put(console, **counts):
    """Histories of so many turns each, put there by another than the page."""
    for name, count in counts.items():
        turns = [{"id": f"t{n}", "speaker": "Ana", "text": f"word {n}"} for n in range(count)]
        console.house.http.post(f"/v1/histories/{name}:ingest", json={"turns": turns})


def text_after(page, bad_key):
    """All that the page holds, seen or not, when it was given a key that is refused."""
    give(page, bad_key)
    expect(page.get_by_role("alert")).to_contain_text("UNAUTHENTICATED")
    expect(page.locator("#metrics")).to_contain_text("UNAUTHENTICATED")
    return page.evaluate("document.body.textContent")


@contextmanager
def ended(page, first):
    """That the page itself gives up the request that was held up, which is then let go."""
    with page.expect_event("requestfailed", lambda it: it == first[0].request, timeout=20_000):
        yield
        first[0].continue_()


def give(page, key="", tenant=""):
    """Has the page use a key, or another tenant."""
    if not page.get_by_label("API key or token").is_visible():
        page.get_by_text("Credential and tenant").click()
    page.get_by_label("API key or token").fill(key)
    page.get_by_label("Tenant").fill(tenant)
    page.get_by_role("button", name="Use").click()
