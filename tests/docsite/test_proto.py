from __future__ import annotations

import re

import pytest

from docsite.proto import FILES, page
from server.http.comments import comments


@pytest.fixture(scope="module")
def made():
    return page(comments())


def test_every_method_message_field_and_comment_is_there(made):
    for name, comment in comments().items():
        assert f"{name.rpartition('.')[2]}" in made
        assert comment.replace("|", r"\|").replace("<", "&lt;") in made


def test_methods_name_what_goes_in_and_what_comes_out(made):
    assert "### MemoryService.ExtractStream\n\n[ExtractRequest](#extractrequest) → " in made
    assert "→ stream of [ExtractEvent](#extractevent)" in made


def test_fields_say_how_often_they_come(made):
    assert re.search(r"\| `turn_ids` \| \d+ \| repeated string \|", made)
    assert re.search(r"\| `max_cost_usd` \| \d+ \| optional double \|", made)
    assert re.search(r"\| `tiers` \| \d+ \| map of string to \[Tier\]\(#tier\) \|", made)
    assert re.search(r"\| `query` \| \d+ \| string \|", made)


def test_links_lead_to_headings(made):
    headings = {
        re.sub(r"[^\w-]", "", title.lower()) for title in re.findall(r"^### (.+)", made, re.M)
    }
    assert set(re.findall(r"\]\(#(\w+)\)", made)) <= headings


def test_files_begin_with_their_conventions(made):
    assert len(FILES) == made.count("```text\n")
    assert "Money     USD." in made
