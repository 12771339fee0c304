"""Nearest neighbours as a router of an evaluation: of a recording of the same data and strategy."""

import pytest

from budgetmem.errors import InvalidInput
from tests.training import toy_outcomes as toys
from tests.training.test_neighbours import told
from training import nearest
from training.nearest import nearest_router
from training.rollouts.outcomes import read


def test_outcomes_of_something_else_make_no_router(tmp_path, monkeypatch):
    class Data:
        sha256 = "of the data"

    monkeypatch.setattr(nearest, "embedded", lambda file, _: told(file))
    path = toys.write(tmp_path / "train.jsonl", toys.outcome_file(3))
    assert nearest_router(path, read(path), Data(), "capacity").version.startswith("nearest-")
    with pytest.raises(InvalidInput, match="strategy: is another than"):
        nearest_router(path, read(path), Data(), "reasoning")
