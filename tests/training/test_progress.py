import io

import numpy as np
import pytest
from rich.console import Console

from training.evaluation import Walked
from training.progress import Progress

FOUND = [Walked("policy", 0.3, np.ones(1), np.ones(1), np.ones(1), np.ones((5, 3)) / 3, 1.0)]


def metrics(failed: float) -> dict[str, float]:
    tiers = {f"tier/{name}": 1 / 3 for name in ("low", "mid", "high")}
    return {"reward": 0.5, "cost_usd": 1e-4, "failed": failed, **tiers}


@pytest.mark.parametrize(("failed", "told"), [((0, 0, 0), None), ((1, 0, 2), "3 failed")])
def test_failed_questions_are_shown_as_soon_as_there_is_one(tmp_path, failed, told):
    shown = io.StringIO()
    with Progress(Console(file=shown, width=300), tmp_path, 3, 0) as progress:
        for update, count in enumerate(failed, start=1):
            progress.learned(update, metrics(count))
        progress.validated(3, FOUND, best=True)
    line = next(line for line in shown.getvalue().splitlines() if line.startswith("update 3 of 3"))
    assert (f"high 33%, {told};" in line) if told else ("failed" not in line)
