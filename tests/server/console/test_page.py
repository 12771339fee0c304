"""The console's files, without a browser."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path

import pytest

from server.http.pages import FILES, console_pages
from server.http.routes import ROUTES
from tests.server.http.house import open_house

pytestmark = pytest.mark.timeout(600)

CONTENT = {
    name: files("server.console").joinpath(name).read_text(encoding="utf-8") for name in FILES
}
SVG = "http://www.w3.org/2000/svg"
"""A name, which nobody asks."""
SCRIPTS = {name: text for name, text in CONTENT.items() if name.endswith(".js")}


class Page(HTMLParser):
    """The elements of a page, each a tag and its attributes."""

    def __init__(self, text):
        super().__init__()
        self.elements = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def all(self, *tags):
        return [attributes for tag, attributes in self.elements if tag in tags]


PAGE = Page(CONTENT["index.html"])
IDS = [attributes["id"] for _, attributes in PAGE.elements if "id" in attributes]


@pytest.fixture(scope="module")
def house():
    with open_house(pages=console_pages()) as opened:
        yield opened


def test_the_page_and_all_that_it_needs_are_served(house):
    index = house.http.get("/")
    assert index.headers["content-type"].startswith("text/html")
    needed = [each["href"] for each in PAGE.all("link")] + [
        each["src"] for each in PAGE.all("script")
    ]
    needed += [
        f"/console/{name}"
        for text in SCRIPTS.values()
        for name in re.findall(r'from "\./(.*)"', text)
    ]
    needed += re.findall(r'"(/console/[^"]*)"', CONTENT["histories.js"])
    assert {path.rpartition("/")[2] for path in needed} | {"index.html"} == set(FILES)
    for path in needed:
        response = house.http.get(path)
        assert response.status_code == 200
        assert response.headers["content-type"].partition(";")[0] == FILES[path.rpartition("/")[2]]


def test_the_policy_lets_the_page_load_its_own_files_and_nothing_else(house):
    policy = house.http.get("/").headers["content-security-policy"].split("; ")
    assert policy[0] == "default-src 'none'"
    assert "require-trusted-types-for 'script'" in policy
    assert "frame-ancestors 'none'" in policy
    assert not re.search(r"unsafe|https?:|data:|\*", "; ".join(policy))


def test_nothing_but_its_files_is_served(house):
    for path in ("/console/", "/console/__init__.py", "/console/..%2Fpages.py", "/console/x.js"):
        assert house.http.get(path).status_code == 404


def test_without_the_option_there_is_no_page():
    with open_house() as plain:
        assert plain.http.get("/").status_code == 404
        assert plain.http.get("/console/app.js").status_code == 404


@pytest.mark.parametrize("name", FILES)
def test_no_file_asks_the_network_or_makes_html_of_text(name):
    of_text = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function"
    assert re.findall(rf"https?://|{of_text}", CONTENT[name].replace(SVG, "")) == []


def test_nothing_is_inline():
    """The policy would forbid it."""
    for tag, attributes in PAGE.elements:
        assert not [name for name in attributes if name == "style" or name.startswith("on")], tag
        assert tag != "style"
    assert all("src" in attributes for attributes in PAGE.all("script"))


def test_the_example_is_the_beginning_of_the_one_in_the_repository():
    example = Path(__file__).parents[3] / "server" / "demo" / "conversation.jsonl"
    assert example.read_text(encoding="utf-8").startswith(CONTENT["example.jsonl"])


def test_every_control_has_a_label():
    labelled = {each["for"] for each in PAGE.all("label")}
    controls = {each["id"] for each in PAGE.all("input", "select", "textarea")}
    assert labelled == controls


def test_names_lead_somewhere():
    assert len(IDS) == len(set(IDS))
    references = [
        attributes[name].removeprefix("#")
        for _, attributes in PAGE.elements
        for name in ("for", "aria-labelledby", "aria-describedby")
        if name in attributes
    ]
    assert set(references) <= set(IDS)
    used = {
        each for text in SCRIPTS.values() for each in re.findall(r'(?:\$|on)\("([\w-]+)"', text)
    }
    assert len(used) > 30
    assert used <= set(IDS)


def test_what_happens_is_announced():
    roles = {each.get("id"): each.get("role") for _, each in PAGE.elements}
    assert (roles["status"], roles["failure"]) == ("status", "alert")
    assert PAGE.all("html")[0]["lang"] == "en"


def test_it_calls_routes_that_there_are():
    known = {route.path for route in ROUTES}
    text = CONTENT["api.js"]
    called = {
        f"/v1/histories/{{history}}{rest}" for rest in re.findall(r'path\(history, "(.*?)"\)', text)
    }
    called |= set(re.findall(r'"(/v1/\w+)"', text))
    assert len(called) == 8
    assert called <= known


def luminance(colour):
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_that_of_wcag_aa_by_day_and_night():
    palettes = [
        dict(re.findall(r"--(\w+): (#\w{6});", block))
        for block in re.findall(r":root \{(.*?)\}", CONTENT["style.css"], re.DOTALL)
    ]
    assert len(palettes) == 2
    for colours in palettes:
        for back in (colours["back"], colours["raised"]):
            for text in ("text", "quiet", "accent", "wrong", "low", "mid", "high"):
                assert contrast(colours[text], back) >= 4.5, (text, back)
            assert contrast(colours["line"], back) >= 3, back
