"""Made-up figures of three constants, two routers and plain retrieval."""

from budgetmem.config import load_profile
from tests.training.reporting.test_results import result
from training.reporting.figures import Figures, Head
from training.reporting.results import Costs
from training.rollouts.setting import of_profile

QUESTIONS = tuple(f"q{number}" for number in range(8))
ARMS = {
    "LLLLL": (0.2, 2e-6, "LLLLL"),
    "MMMMM": (0.4, 4e-6, "MMMMM"),
    "HHHHH": (0.4, 9e-6, "HHHHH"),
    "plain-2": (0.3, 7e-6, ""),
    "router@0": (0.6, 5e-6, "LMHLM"),
    "router@0.5": (0.4, 3e-6, "LMLLM"),
    "blind@0.5": (0.3, 3e-6, "LLLLM"),
}


def toy_figures(split="test", arms=tuple(ARMS), **changed) -> Figures:
    """Every way has a question in three one tenth below its mean, and answers all of them."""
    setting = {
        "dataset": "toy",
        "sha256": {"toy.json": "0" * 64},
        "split": split,
        "strategy": "capacity",
        "max_tokens": 400,
        "judge": None,
        **of_profile(load_profile("small")),
        **changed,
    }
    found = {
        arm: [
            result(
                question,
                ARMS[arm][0] - 0.1 * (place % 3 == 0),
                ("single-hop", "temporal")[place % 2],
                costs_usd=Costs(ARMS[arm][1] / 2, ARMS[arm][1] / 2),
                tiers=ARMS[arm][2],
            )
            for place, question in enumerate(QUESTIONS)
        ]
        for arm in arms
    }
    head = Head(setting, {"router": "capacity-1"}, "c0de", QUESTIONS, tuple(arms))
    return Figures(head, found)
