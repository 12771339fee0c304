from __future__ import annotations

import ast
from importlib.util import find_spec
from pathlib import Path

import pytest

from docsite.modules import DATA, PAGES, pages


@pytest.mark.parametrize("module", [module for modules in PAGES.values() for module in modules])
def test_every_module_is_there_and_says_what_it_is(module):
    # Not imported: an extra's libraries may be missing.
    source = Path(find_spec(module).origin).read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(source))


def test_a_page_names_its_modules():
    assert dict(pages())["errors.md"] == "# Python: errors\n\n::: budgetmem.errors\n"


def test_fields_are_told_once_where_a_signature_has_them():
    made = dict(pages())
    assert made["types.md"].startswith(
        "# Python: types\n\n::: budgetmem.types\n    options:\n      show_if_no_docstring: false\n"
    )
    assert {module for modules in PAGES.values() for module in modules} >= DATA
