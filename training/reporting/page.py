"""The text of a report, in Markdown."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from training.reporting import tables
from training.reporting.arm_names import routed
from training.reporting.figures import Figures
from training.reporting.tables import Compared, Table

TITLE = """# Results

Made by `training/report.py` from the figures of `training/evaluate.py` ([how](../evaluation.md)).
Every way of answering has the same retrieval, answerer and questions. Intervals are 95%, by
bootstrap over questions; those of gains are paired. A question without an answer scores 0.
"""

LIMITS = """{count} questions. Backbones: {weights}; the answerer is {answerer}. Retrieval:
{ranking}, {max_tokens} tokens. Judge: {judge}.
Larger models, or questions of another kind, may give another order."""

NO_JUDGE = "none; scores are the dataset's own, against the words of its answers"

MIXTURES = """A service without a router may send any share of its questions one way and the rest
another. So a router that spends c is compared with the best mixture that spends c: of constants
(the same tiers for every question), of the router that sees lambda alone at its several lambdas,
and of plain retrieval with more or fewer chunks. Below the cheapest of them it is compared with the
cheapest, above the dearest with the best."""

CHOSEN = "The constants are those on the frontier of the validation questions: {}."

AFTERWARDS = """The constants are those that are best on these very questions, known after the fact:
that favours them."""


def page(sections: Sequence[str]) -> str:
    """All of it."""
    return "\n".join([TITLE, *sections])


def section(split: Compared, charts: Mapping[str, str]) -> str:
    """What one evaluation found. `charts` has the stems of their files, by title."""
    figures = split.figures
    setting = figures.head.setting
    chosen = CHOSEN.format(", ".join(split.mixable)) if split.chosen else AFTERWARDS
    parts = [
        f"## {setting['dataset']}, {figures.head.split}, {setting['strategy']}",
        _limits(figures),
        tables.means(figures).markdown(),
        *(f"[![{title}]({stem}.png)]({stem}.html)" for title, stem in charts.items()),
        "### By category",
        tables.categories(figures).markdown(),
        "### Areas under the frontiers",
        tables.areas(split).markdown(),
    ]
    if routed(figures.head.arms):
        parts += [
            "### What reading the question gains",
            f"{MIXTURES} {chosen}",
            tables.gains(split).markdown(),
            tables.oracle_of(split),
            "### Tiers",
            "Low / Mid / High, per cent of the questions.",
            tables.tiers(figures).markdown(),
        ]
    parts += ["### What it depends on", _setting(figures).markdown(), _receipts(figures)]
    return "\n\n".join(parts) + "\n"


def _limits(figures: Figures) -> str:
    setting = figures.head.setting
    backbones = setting["backbones"]
    return LIMITS.format(
        count=len(figures.head.questions),
        weights=", ".join(f"{tier} {backbones[key]}" for tier, key in setting["tiers"].items()),
        answerer=backbones[setting["answerer"]],
        ranking=setting["retrieval"]["ranking"],
        max_tokens=setting["max_tokens"],
        judge=setting["judge"] or NO_JUDGE,
    )


def _setting(figures: Figures) -> Table:
    setting = figures.head.setting
    told = {
        "data (SHA-256)": setting["sha256"],
        "code": figures.head.code,
        "prompts": setting["prompts"],
        "weights": json.dumps(setting["weights"]),
        "prices, USD per million tokens in and out": json.dumps(setting["prices"]),
        "words of a memory": json.dumps(setting["memory_words"]),
        **{f"router {label}": version for label, version in figures.head.routers.items()},
    }
    return Table(("what", "value"), [(name, f"`{value}`") for name, value in told.items()])


def _receipts(figures: Figures) -> str:
    """Of the first question, in every routed way."""
    question = figures.head.questions[0]
    shown = []
    for arms in routed(figures.head.arms).values():
        for arm in arms.values():
            for each in figures.found[arm]:
                if each.question == question and each.receipt:
                    receipt = json.dumps(each.receipt, indent=1)
                    shown.append(f"`{arm}`:\n\n```json\n{receipt}\n```")
    if not shown:
        return ""
    body = "\n\n".join(shown)
    return (
        f"<details><summary>Receipts of the question {question}</summary>\n\n{body}\n\n</details>"
    )
