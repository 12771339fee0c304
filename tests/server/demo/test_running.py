"""The server that the demonstration starts."""

from __future__ import annotations

import pytest

from budgetmem.errors import BackboneUnavailable
from server.demo import running

IMPOSTOR = "print('ready on 127.0.0.1:1 in 0.0 s', flush=True)\n"


def test_nothing_of_the_current_folder_is_run_in_its_place(tmp_path, monkeypatch):
    (tmp_path / "server.py").write_text(IMPOSTOR)
    (tmp_path / "budgetmem.py").write_text(IMPOSTOR)
    monkeypatch.chdir(tmp_path)
    with (
        pytest.raises(BackboneUnavailable, match=r"ended with exit code [1-9]"),
        running._server("no-such-profile", (), tmp_path / "data"),
    ):
        pass


def test_files_are_named_from_where_the_user_is(tmp_path, monkeypatch, capfd):
    (tmp_path / "mine.toml").write_text("about = 1\n")
    monkeypatch.chdir(tmp_path)
    with (
        pytest.raises(BackboneUnavailable),
        running._server("mine.toml", (), tmp_path / "data"),
    ):
        pass
    assert "profile mine.toml: " in capfd.readouterr().err
