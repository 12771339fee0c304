from __future__ import annotations

from markdown_it import MarkdownIt

from docsite.markdown import table


def test_a_table_keeps_its_columns():
    made = table(("a", "b"), [("x | y", "1 < 2"), ("`z`", "")])
    html = MarkdownIt("commonmark").enable("table").render(made)
    assert html.count("<td>") == 4
    assert "<td>x | y</td>" in html
    assert "<td>1 &lt; 2</td>" in html
