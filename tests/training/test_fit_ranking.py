"""The weights of the ranking of lines are found again from evidence that they made."""

import sys

import pytest
import torch

from budgetmem.config import load_profile
from budgetmem.errors import ConfigError
from budgetmem.line_ranking import WEIGHTS
from budgetmem.store.base import Hits, Settings
from tests.test_line_ranking import talk
from training import fit_ranking
from training.datasets.base import Question
from training.fit_ranking import Example, example, fit


def test_evidence_is_the_line_and_not_its_neighbours():
    found = talk()
    hits = Hits(
        settings=Settings("toy", 4, ""),
        dense=tuple((unit.id, 0.5) for unit in found),
        keyword=(),
        units={unit.id: unit for unit in found},
        sessions=("s",),
    )
    question = Question("q", "s", "Where did Ben go?", ("Lisbon",), "single-hop", evidence=("s1",))
    made = example(question, hits)
    assert made.evidence.tolist() == [0, 1, 0, 0]
    assert made.signals.shape == (4, len(WEIGHTS))


def test_the_signal_that_tells_evidence_gets_the_weight():
    generator = torch.Generator().manual_seed(0)
    examples = []
    for _ in range(60):
        signals = torch.rand(20, len(WEIGHTS), generator=generator, dtype=torch.float64)
        chances = torch.softmax(8 * signals[:, 2], dim=0)
        evidence = torch.zeros(20, dtype=torch.float64)
        evidence[torch.multinomial(chances, 1, generator=generator)] = 1
        examples.append(Example(signals, evidence))
    weights = fit(examples)
    assert list(weights) == list(WEIGHTS)
    assert weights["coverage"] == pytest.approx(8, abs=2)
    assert all(abs(weights[name]) < 2 for name in weights if name != "coverage")


def test_the_encoder_is_the_profile_s_with_its_limit(monkeypatch, capsys):
    opened = []

    def local_encoder(profile):
        opened.append(profile)
        raise ConfigError("no encoder here")

    monkeypatch.setattr(fit_ranking, "local_encoder", local_encoder)
    monkeypatch.setattr(sys, "argv", ["fit_ranking.py", "--data", "nowhere", "--profile", "tiny"])
    with pytest.raises(SystemExit, match="1"):
        fit_ranking.main()
    assert opened == [load_profile("tiny").encoder]
    assert "no encoder here" in capsys.readouterr().err


def test_no_evidence_is_an_error():
    with pytest.raises(ConfigError, match="no question has evidence among its lines"):
        fit([])
