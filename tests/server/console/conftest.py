"""A browser for all tests of a module, and a console for each."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module")
def browser():
    from tests.server.console.browser import opened_browser

    with opened_browser() as opened:
        yield opened


@pytest.fixture
def console(tmp_path):
    from tests.server.console.scripted import open_console

    with open_console(tmp_path) as opened:
        yield opened


@pytest.fixture
def page(browser, console):
    from tests.server.console.browser import visited

    with visited(browser, console.url) as shown:
        yield shown
