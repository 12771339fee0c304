"""Made-up figures of three constants, two routers and plain retrieval."""

from budgetmem.config import load_profile
from tests.training.reporting.test_results import result
from training.reporting.figures import Asked, Figures, Head, Sample
from training.reporting.results import Build, Costs
from training.reporting.trained import Trained
from training.rollouts.setting import of_profile

QUESTIONS = tuple(
    Asked(f"q{number}", "chat", ("single-hop", "temporal")[number % 2]) for number in range(8)
)
ARMS = {
    "LLLLL": (0.2, 2e-6, "LLLLL"),
    "MMMMM": (0.4, 4e-6, "MMMMM"),
    "HHHHH": (0.4, 9e-6, "HHHHH"),
    "plain-2": (0.3, 7e-6, ""),
    "router@0": (0.6, 5e-6, "LMHLM"),
    "router@0.5": (0.4, 3e-6, "LMLLM"),
    "blind@0.5": (0.3, 3e-6, "LLLLM"),
}
ROUTERS = {
    "router": [Trained("capacity-1", (0.0, 0.9), "toy", "0" * 64, "train", "small")],
    "blind": [Trained("capacity-2", (0.0, 0.9), blind=True)],
}


def toy_figures(split="test", arms=tuple(ARMS), routers=None, **changed) -> Figures:
    """Every way has a question in three one tenth below its mean, and answers all of them.

    `arms` are names of ARMS, or their means (score, USD, tiers) by name.
    """
    means = arms if isinstance(arms, dict) else {arm: ARMS[arm] for arm in arms}
    setting = {
        "dataset": "toy",
        "sha256": "0" * 64,
        "split": split,
        "strategy": "capacity",
        "rungs": {},
        "max_tokens": 400,
        **of_profile(load_profile("small")),
        **changed,
    }
    found = {
        arm: [
            result(
                question.id,
                score - 0.1 * (place % 3 == 0),
                question.category,
                costs_usd=Costs(cost / 2, cost / 2),
                tiers=tiers,
            )
            for place, question in enumerate(QUESTIONS)
        ]
        for arm, (score, cost, tiers) in means.items()
    }
    head = Head(
        setting=setting,
        routers=ROUTERS if routers is None else routers,
        sample=Sample(20, 7),
        questions=QUESTIONS,
        builds={"chat": Build(1000, 16e-6)},
        arms=tuple(means),
    )
    return Figures(head, found)
