"""A server of one's own, which is nobody else's."""

from __future__ import annotations

import os
import sys

import pytest

from budgetmem.errors import BackboneUnavailable
from server import child

IMPOSTOR = "print('ready on 127.0.0.1:1 in 0.0 s', flush=True)\n"
SAYS_ITS_VARIABLES = (
    "import os; print('metrics on 127.0.0.1:2', flush=True); "
    "print('ready on', ','.join(n for n in os.environ if 'BUDGETMEM' in n), 'in 1.5 s', flush=True)"
    "; import time; time.sleep(60)"
)


def test_nothing_of_the_current_folder_is_run_in_its_place(tmp_path, monkeypatch):
    (tmp_path / "server.py").write_text(IMPOSTOR)
    (tmp_path / "budgetmem.py").write_text(IMPOSTOR)
    monkeypatch.chdir(tmp_path)
    with (
        pytest.raises(BackboneUnavailable, match=r"ended with exit code [1-9]"),
        child.serving("--profile", "no-such-profile", "--data-dir", "data"),
    ):
        pass


def test_files_are_named_from_where_the_user_is(tmp_path, monkeypatch, capfd):
    (tmp_path / "mine.toml").write_text("about = 1\n")
    monkeypatch.chdir(tmp_path)
    with (
        pytest.raises(BackboneUnavailable),
        child.serving("--profile", "mine.toml", "--data-dir", "data"),
    ):
        pass
    assert "profile mine.toml: " in capfd.readouterr().err


@pytest.fixture
def talks(monkeypatch):
    """A server that says which of our variables it has."""
    command = [sys.executable, "-c", SAYS_ITS_VARIABLES]
    monkeypatch.setattr(child, "module_command", lambda *_: command)


@pytest.mark.usefixtures("talks")
def test_what_is_set_for_the_users_own_server_does_not_reach_it(monkeypatch):
    monkeypatch.setenv("BUDGETMEM_STORE", "postgresql://production/memories")
    monkeypatch.setenv("BUDGETMEM_HTTP_PORT", "8080")
    monkeypatch.setenv("BUDGETMEM_ASSETS", "/models")
    with child.serving() as served:
        assert served.address == "BUDGETMEM_ASSETS"
        assert served.ready_seconds == 1.5


@pytest.mark.usefixtures("talks")
def test_it_is_ended_with_those_who_asked_it(monkeypatch):
    monkeypatch.setenv("BUDGETMEM_NO_HUB", "1")
    with child.serving() as served:
        os.kill(served.pid, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(served.pid, 0)
