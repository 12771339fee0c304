from __future__ import annotations

import pytest

from docsite.links import broken, fetched


@pytest.fixture
def site(tmp_path):
    """A site of two pages, one of them in a folder; returns what writes the first one's body."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.html").write_text('<h1 id="top">D</h1><a href="../a.html">a</a>')
    (tmp_path / "data.json").write_text("{}")

    def write(body):
        (tmp_path / "a.html").write_text(body)
        return tmp_path

    return write


@pytest.mark.parametrize(
    "link",
    [
        *("docs/index.html", "docs", "docs/", "docs/index.html#top", "data.json", "data.json#x"),
        *("#here", "", "https://elsewhere.example/x", "mailto:a@b.example"),
    ],
)
def test_links_that_lead_somewhere(site, link):
    assert not list(broken(site(f'<p id="here"><a href="{link}">x</a></p>')))


@pytest.mark.parametrize(
    ("link", "fault"),
    [
        ("nope.html", "no file"),
        ("nope.json", "no file"),
        ("../outside.html", "no file"),
        ("docs/index.html#nope", "no such place"),
        ("#nope", "no such place"),
    ],
)
@pytest.mark.parametrize("tag", ['<a href="{}">', '<img src="{}">'])
def test_links_that_lead_nowhere(site, link, fault, tag):
    [found] = broken(site(tag.format(link)))
    assert found.startswith(f"a.html: {link} ")
    assert fault in found


def test_what_a_page_fetches_from_elsewhere_is_told(site):
    folder = site(
        '<a href="https://a.example/">a</a><script src="https://b.example/x.js"></script>'
    )
    assert fetched(folder) == {"https://b.example/x.js"}
