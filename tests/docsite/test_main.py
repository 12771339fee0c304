from __future__ import annotations

import pytest

from docsite import __main__ as docsite


@pytest.fixture
def staged(tmp_path, monkeypatch):
    monkeypatch.setattr(docsite, "generated", lambda: [("grpc.md", "# gRPC\n")])
    folder = tmp_path / "pages"
    folder.mkdir()
    (folder / "old.md").touch()
    docsite.stage(folder)
    return folder


def test_pages_are_laid_out_as_in_the_repository(staged):
    assert (staged / "README.md").is_file()
    assert (staged / "docs" / "overview.svg").is_file()
    assert (staged / "examples" / "own_dataset.py").is_file()
    assert not list(staged.rglob("__pycache__"))


def test_what_is_made_from_code_is_the_reference(staged):
    assert (staged / "docs" / "reference" / "grpc.md").read_text() == "# gRPC\n"


def test_nothing_stays_of_an_earlier_time(staged):
    assert not (staged / "old.md").exists()
