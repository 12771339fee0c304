"""Pages are where a reader looks for them, and the picture is one for everybody."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from docsite.modules import PAGES as MODULES
from tests.docs.blocks import ALL, ROOT
from tests.docs.programs import tomllib
from tests.docs.shell import commands

SVG = "{http://www.w3.org/2000/svg}"
MADE = {f"docs/reference/{name}.md" for name in ("grpc", "commands", *MODULES)}
PAGES = {str(path.relative_to(ROOT)) for path in (ROOT / "docs").glob("*.md")}


def in_navigation():
    project = tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))["project"]

    def leaves(nav):
        for entry in nav:
            for value in entry.values():
                yield from [value] if isinstance(value, str) else leaves(value)

    return list(leaves(project["nav"]))


def test_every_page_is_in_the_navigation_once():
    found = in_navigation()
    assert len(found) == len(set(found))
    assert found[0] == "README.md"
    assert set(found) >= PAGES | MADE
    assert all((ROOT / page).is_file() for page in set(found) - MADE)


@pytest.mark.parametrize("page", sorted(PAGES - {"docs/index.md"}))
def test_every_page_is_in_the_list_of_all(page):
    listed = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    assert f"]({page.removeprefix('docs/')})" in listed


def test_every_decision_is_listed_by_its_title():
    folder = ROOT / "docs" / "decisions"
    listed = (folder / "README.md").read_text(encoding="utf-8")
    for page in sorted(folder.glob("0*.md")):
        number, title = re.match(r"# (\d+)\. (.+)", page.read_text(encoding="utf-8")).groups()
        assert f"| {number} | [{title}]({page.name}) |" in listed


def test_whoever_is_to_train_is_told_what_finds_the_scripts():
    """No wheel has them, and only an editable install lets them import `training`."""
    pages = {block.page for block in ALL if "python training/" in block.text}
    assert len(pages) >= 4
    for page in pages:
        assert "pip install --editable '.[embedded,train]'" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("page", ["http.md", "console.md"])
def test_the_first_block_of_a_page_serves_on_a_new_machine(page):
    first = next(block for block in ALL if block.page == ROOT / "docs" / page)
    install, pull, serve = commands(first.text)
    assert install == ["pip", "install", "budgetmem[embedded,http]"]
    assert pull == ["budgetmem", "assets", "pull", "small"]
    assert serve[:2] == ["budgetmem", "serve"]


@pytest.fixture(scope="module")
def picture():
    return ElementTree.parse(ROOT / "docs" / "overview.svg").getroot()


def test_the_picture_is_told_in_words_too(picture):
    named = picture.get("aria-labelledby").split()
    words = {
        each.get("id"): each.text for each in picture if each.tag in {SVG + "title", SVG + "desc"}
    }
    assert picture.get("role") == "img"
    assert all(words[name] for name in named)


def test_the_picture_has_its_own_ground(picture):
    """So it looks the same where a page is dark."""
    ground = picture.find(f"{SVG}rect")
    _, _, width, height = map(float, picture.get("viewBox").split())
    assert float(ground.get("width")) >= width - 2
    assert float(ground.get("height")) >= height - 2
    assert ground.get("fill").startswith("#")


def test_every_word_of_the_picture_stands_out(picture):
    grounds = {each.get("fill") for each in picture.iter(f"{SVG}rect")}
    light = [fill for fill in grounds if luminance(fill) > 0.5]
    dark = [fill for fill in grounds if luminance(fill) <= 0.5]
    for text in picture.iter(f"{SVG}text"):
        assert float(text.get("font-size")) >= 12
        own = light if luminance(text.get("fill")) <= 0.5 else dark
        assert all(contrast(text.get("fill"), ground) >= 4.5 for ground in own)


def luminance(colour):
    """The relative luminance of WCAG 2."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)
