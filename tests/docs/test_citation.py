"""CITATION.cff is of the Citation File Format 1.2.0, as far as it uses it."""

from __future__ import annotations

import re

import pytest
import yaml

from tests.docs.blocks import ROOT
from tests.docs.programs import PROJECT

REQUIRED = {"cff-version", "message", "title", "authors"}
KEYS = REQUIRED | {"abstract", "type", "license", "version", "preferred-citation"}
OF_A_REFERENCE = {"type", "title", "authors", "year", "month", "journal", "identifiers", "url"}
OF_A_PERSON = {"family-names", "given-names"}


@pytest.fixture(scope="module")
def citation():
    return yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))


def test_the_file_has_what_the_format_requires_and_nothing_else(citation):
    assert REQUIRED <= citation.keys() <= KEYS
    assert citation["cff-version"] == "1.2.0"
    assert citation["type"] == "software"
    assert all(author.keys() == {"name"} for author in citation["authors"])


def test_it_is_of_this_version_and_licence(citation):
    assert citation["version"] == PROJECT["version"]
    assert citation["license"] == PROJECT["license"]


def test_the_paper_is_cited_with_all_its_authors(citation):
    paper = citation["preferred-citation"]
    assert paper.keys() <= OF_A_REFERENCE
    assert paper["type"] == "article"
    assert len(paper["authors"]) == 11
    assert all(author.keys() == OF_A_PERSON for author in paper["authors"])
    assert (paper["year"], paper["month"]) == (2026, 2)
    assert all(each.keys() == {"type", "value", "description"} for each in paper["identifiers"])


def test_the_paper_is_the_one_that_the_readme_names(citation):
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    number = re.search(r"arXiv (\d{4}\.\d{5})", readme)[1]
    paper = citation["preferred-citation"]
    assert paper["title"] in readme
    assert paper["url"] == f"https://arxiv.org/abs/{number}"
    assert paper["journal"].endswith(number)
