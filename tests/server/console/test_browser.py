"""The console in a headless Chromium, before a whole server over scripted models."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("budgetmem._core", reason="the C++ core is not built")
pytest.importorskip("onnxruntime", reason="needs the `embedded` extra")

from playwright.sync_api import expect

from budgetmem.info import Limits
from server.assembly import FOLDER
from server.http.pages import console_pages
from tests.server.console.browser import add_example, ask, held, needs_chromium, visited
from tests.server.console.scripted import QUESTION
from tests.server.http.house import open_house

BUSY = {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "busy"}
CUT_OFF = "The reply was cut off before its end. Ask again."
SPANS = """performance.getEntriesByType("resource")
  .filter(({ name }) => name.endsWith(":extractStream"))
  .map(({ name, startTime, responseEnd }) => [startTime, responseEnd, name])"""
"""Of each extraction: from when to when the page was told of it, and its address."""

pytestmark = [pytest.mark.timeout(900), needs_chromium]


def add(page, name, text):
    page.get_by_text("Add a history", exact=True).click()
    page.get_by_label("Name").fill(name)
    page.get_by_label("Conversation").fill(text)
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_role("heading", name=f"Turns of {name}")).to_be_visible()
    # The form closes last; who opens it before that closes it.
    expect(page.get_by_label("Name")).to_be_hidden()


def clicks(page):
    return page.evaluate("Number(sessionStorage.clicks)")


def test_from_a_cold_start_to_the_first_memory_it_is_two_clicks(page):
    add_example(page)
    expect(page.get_by_role("textbox", name="Question")).to_have_value(QUESTION)
    ask(page)
    expect(page.locator(".memory")).to_contain_text("£275")
    assert clicks(page) == 2


def test_with_a_conversation_of_ones_own_it_is_three(page):
    add(page, "trip", "2023-05-08 14:00\nAna: I booked the flight to Lisbon.\nBo: Rex comes along.")
    expect(page.get_by_text("1 – 2 of 2")).to_be_visible()
    page.keyboard.type("When did Ana book?")
    ask(page)
    expect(page.locator(".memory")).to_be_visible()
    assert clicks(page) == 3


def test_stages_are_seen_as_they_end(page, console):
    add_example(page)
    console.pace.held = True
    page.get_by_role("button", name="Extract").click()
    expect(page.locator(".chunk").first).to_be_visible()
    expect(page.locator("tr.waiting")).to_have_count(5)
    assert page.get_by_role("button", name="Stop").is_enabled()
    console.release()
    expect(page.get_by_role("status")).to_have_text("Done")
    expect(page.locator("tr.waiting")).to_have_count(0)
    rows = page.locator("article tbody tr")
    modules = ["filter", "entity", "temporal", "topic", "summary", "in all"]
    assert rows.locator("th").all_text_contents() == modules
    chances = rows.first.locator(".chances").inner_text().split(" / ")
    assert sum(map(float, chances)) == pytest.approx(1, abs=0.02)
    [tokens, usd, ms] = rows.last.locator(".number").all_text_contents()
    assert "→" in tokens
    assert float(usd) > 0
    assert float(ms) > 0


def test_a_run_can_be_stopped(page, console):
    add_example(page)
    console.pace.held = True
    page.get_by_role("button", name="Extract").click()
    expect(page.locator(".chunk").first).to_be_visible()
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("article")).to_contain_text("Stopped.")
    assert page.get_by_role("button", name="Stop").is_disabled()
    console.release()


@pytest.mark.parametrize("left", [0.0, 0.5, 0.55])
def test_a_stream_that_is_cut_off_is_not_called_done(page, left):
    def cut(route):
        lines = route.fetch().text().splitlines(keepends=True)
        whole, part = divmod(len(lines) * left, 1)
        kept = [*lines[: int(whole)], lines[int(whole)][: int(200 * part)]]
        route.fulfill(content_type="application/x-ndjson", body="".join(kept))

    add_example(page)
    page.route("**/*:extractStream", cut, times=1)
    page.get_by_role("button", name="Compare three budgets").click()
    expect(page.get_by_role("alert")).to_have_text(CUT_OFF)
    notes = page.locator("article > .quiet").all_text_contents()
    assert notes[0] == CUT_OFF
    assert all(note.startswith("Router ") for note in notes[1:])
    assert page.get_by_role("status").inner_text() == ""
    expect(page.locator("tr.waiting", has_text="waits")).to_have_count(0)
    expect(page.locator(".memory")).to_have_count(2)


def test_a_finding_leads_to_the_chunk_it_came_from(page):
    add_example(page)
    ask(page)
    page.get_by_text("Retrieved chunks").click()
    source = page.locator(".findings li", has_text="entity").get_by_role("link")
    source.click()
    target = page.locator(".chunk:target")
    expect(target).to_be_visible()
    assert source.inner_text() in target.inner_text()


def test_an_answer_is_shown_with_its_cost(page):
    add_example(page)
    ask(page, "Answer")
    expect(page.locator("article")).to_contain_text("£615")
    assert "answer" in page.locator("article tbody th").all_text_contents()


def test_three_budgets_are_compared_and_the_dearest_costs_most(page):
    add_example(page)
    ask(page, "Compare three budgets")
    runs = page.locator("article")
    assert runs.locator("h3").all_text_contents() == ["λ = 0.9", "λ = 0.45", "λ = 0"]
    least, _, most = (float(run.locator("strong").first.inner_text()) for run in runs.all())
    assert least < most


def test_three_budgets_are_asked_one_after_the_other(page):
    add_example(page)
    with held(page, "**/*:extractStream") as first:
        page.get_by_role("button", name="Compare three budgets").click()
    notes = page.locator("article > .quiet")
    waits = "Waits for its turn."
    assert notes.all_text_contents() == ["Running …", waits, waits]
    first[0].continue_()
    expect(page.get_by_role("status")).to_have_text("Done")
    page.wait_for_function(f"{SPANS}.length === 3")
    (_, end, _), (start, later_end, _), (later_start, *_) = page.evaluate(SPANS)
    assert end <= start
    assert later_end <= later_start


def test_a_comparison_keeps_to_the_history_it_began_with(page):
    add(page, "other", "Ana: Hi.")
    add(page, "trip", "Ana: I booked the flight to Lisbon.")
    page.get_by_role("textbox", name="Question").fill("When?")
    with held(page, "**/*:extractStream") as first:
        page.get_by_role("button", name="Compare three budgets").click()
    page.get_by_role("button", name="other").click()
    expect(page.locator("#turns")).to_contain_text("Hi.")
    first[0].continue_()
    expect(page.locator(".memory")).to_have_count(3)
    page.wait_for_function(f"{SPANS}.length === 3")
    assert all("/trip:" in url for *_, url in page.evaluate(SPANS))


def test_the_operating_point_is_where_the_slider_is(page):
    page.get_by_label("Cost weight").fill("0.2")
    expect(page.locator("#operating")).to_have_text(
        "λ = 0.2: score 0.540 for 17 × 10⁻⁶ USD a question, on the line between λ = 0.1 and 0.3."
    )
    assert "Measured on 40 validation questions of made-up" in page.locator("figure").inner_text()
    before = page.locator(".now").get_attribute("cx")
    page.get_by_label("Cost weight").press("ArrowRight")
    assert float(page.locator(".now").get_attribute("cx")) < float(before)
    page.get_by_label("Strategy").select_option("reasoning")
    expect(page.locator("figure")).to_contain_text("tells nothing")
    assert page.get_by_label("Cost weight").is_disabled()


def test_a_ceiling_holds_and_the_tiers_that_it_forbids_are_named(page):
    add_example(page)
    page.get_by_label("Ceiling in USD").fill("0.000001")
    ask(page)
    expect(page.locator("article tbody")).to_contain_text("no High:")
    assert float(page.locator("article .total strong").first.inner_text()) <= 1


def test_metrics_are_live(page):
    add_example(page)
    page.get_by_role("heading", name="Live metrics").click()
    tokens = page.locator(".tile", has_text="Tokens").locator("strong")
    expect(tokens).to_be_visible()
    before = tokens.inner_text()
    ask(page)
    expect(tokens).not_to_have_text(before)
    expect(page.locator(".tile", has_text="Calls")).to_contain_text("in flight")


def test_metrics_outlive_a_fault_and_the_last_reading_is_called_old(page):
    page.get_by_role("heading", name="Live metrics").click()
    expect(page.locator(".tile").first).to_be_visible()
    read = page.locator(".tile").count()
    page.route("**/v1/metrics", lambda route: route.fulfill(status=429, json={"error": BUSY}))
    expect(page.locator("#metrics .wrong")).to_have_text("RESOURCE_EXHAUSTED: busy")
    expect(page.locator("#metrics")).to_contain_text("The rest was read at")
    assert page.locator(".tile").count() == read
    page.unroute("**/v1/metrics")
    expect(page.locator("#metrics .wrong")).to_have_count(0)
    assert page.locator(".tile").count() == read


def test_a_long_history_is_read_page_by_page(page):
    lines = [{"id": f"t{n}", "speaker": "Ana", "text": f"word {n}"} for n in range(230)]
    add(page, "long", "\n".join(map(json.dumps, lines)))
    expect(page.get_by_text("1 – 100 of 230", exact=True)).to_be_visible()
    assert page.get_by_role("button", name="Page before").is_disabled()
    page.get_by_role("button", name="Page after").click()
    expect(page.get_by_text("101 – 200 of 230", exact=True)).to_be_visible()
    page.get_by_role("button", name="Page after").click()
    expect(page.get_by_text("201 – 230 of 230", exact=True)).to_be_visible()
    assert page.locator("#turns blockquote").all_text_contents() == [
        f"word {n}" for n in range(200, 230)
    ]
    assert page.get_by_role("button", name="Page after").is_disabled()


def test_a_conversation_of_long_turns_goes_in_by_parts(browser, tmp_path):
    turns = [{"id": f"t{n}", "speaker": "Ana", "text": "word " * 180_000} for n in range(4)]
    file = tmp_path / "long.json"
    file.write_text(json.dumps(turns), encoding="utf-8")
    bounds = Limits(message_bytes=3 * 2**20)
    with open_house(pages=console_pages(), limits=bounds) as house:
        with visited(browser, house.url) as page:
            page.get_by_text("Add a history", exact=True).click()
            page.get_by_label("Name").fill("long")
            page.get_by_label("or a file").set_input_files(file)
            page.get_by_role("button", name="Add", exact=True).click()
            expect(page.get_by_role("status")).to_have_text("4 turns are new in long")
        assert len(house.grpc.histories.kept["default", "long"]) == len(turns)


def test_turns_of_one_history_are_never_under_the_name_of_another(page):
    add(page, "good", "Ana: Hi.")
    expect(page.get_by_text("1 – 1 of 1")).to_be_visible()
    add(page, "bad", "Bo: Bye.")
    expect(page.locator("#turns")).to_contain_text("Bye.")
    page.get_by_role("button", name="good").click()
    expect(page.locator("#turns")).to_contain_text("Hi.")
    with held(page, "**/bad/turns") as first:
        page.get_by_role("button", name="bad").click()
    expect(page.get_by_role("heading", name="Turns of bad")).to_be_visible()
    assert (page.locator("#turns li").count(), page.locator("#pages").inner_text()) == (0, "")
    first[0].fulfill(status=429, json={"error": BUSY})
    expect(page.get_by_role("alert")).to_have_text("RESOURCE_EXHAUSTED: busy")
    assert (page.locator("#turns li").count(), page.locator("#pages").inner_text()) == (0, "")


def test_a_damaged_history_is_called_so_instead_of_empty(page, tmp_path):
    add_example(page)
    (tmp_path / FOLDER / "default" / "trip.db").write_bytes(b"\xa5" * 4096)
    page.reload()
    expect(page.locator("#histories button")).to_have_text(["example 83 turns", "trip damaged"])


def test_a_file_is_added_and_a_history_deleted_only_after_a_second_thought(page, tmp_path):
    file = tmp_path / "talk.txt"
    file.write_text("Ana: <b>Hi</b>.\n", encoding="utf-8")
    page.get_by_text("Add a history", exact=True).click()
    page.get_by_label("Name").fill("a/b c")
    page.get_by_label("or a file").set_input_files(file)
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator("#turns")).to_contain_text("<b>Hi</b>.")
    page.get_by_role("button", name="Delete history").click()
    page.get_by_role("button", name="Keep it").click()
    expect(page.locator("#histories button")).to_have_count(1)
    page.get_by_role("button", name="Delete history").click()
    page.get_by_role("button", name="Delete it").click()
    expect(page.get_by_role("status")).to_have_text("a/b c is deleted: 1 turns")
    expect(page.locator("#histories button")).to_have_count(0)
    expect(page.get_by_role("button", name="Add the example")).to_be_visible()


def test_the_history_that_was_asked_about_is_deleted(page):
    add_example(page)
    page.get_by_text("Add a history", exact=True).click()
    page.get_by_label("Name").fill("other")
    page.get_by_label("Conversation").fill("Ana: Hi.")
    with held(page, "**/*:ingest") as first:
        page.get_by_role("button", name="Add", exact=True).click()
        page.get_by_role("button", name="Delete history").click()
    first[0].continue_()
    expect(page.locator("#chosen")).to_have_text("Turns of other")
    page.get_by_role("button", name="Delete it").click()
    expect(page.get_by_role("status")).to_have_text("example is deleted: 83 turns")
    expect(page.locator("#histories button")).to_have_text(["other 1 turns"])


def test_what_is_wrong_with_a_conversation_is_said(page):
    page.get_by_text("Add a history", exact=True).click()
    page.get_by_label("Name").fill("x")
    page.get_by_label("Conversation").fill('{"id": "t1"}')
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_role("alert")).to_have_text("Line 1 has no speaker, text.")
