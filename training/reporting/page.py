"""The text of a report, in Markdown."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from training.reporting import receipts, tables
from training.reporting.areas import areas
from training.reporting.arm_names import CHUNK_TOKENS
from training.reporting.compared import Compared
from training.reporting.figures import Figures
from training.reporting.gains import gains, mean_gains, oracles
from training.reporting.headline import headline
from training.reporting.overview import overview
from training.reporting.summary import summarized
from training.reporting.tables import Table

TITLE = f"""# Results

Made by `training/report.py` from the figures of `training/evaluate.py` ([how](../evaluation.md)).
Every way of answering has the same ranking of what is retrieved, the same answerer and the same
questions, but not the same budget: `plain-K` has K times {CHUNK_TOKENS} tokens of what that ranking
finds, `plain` and all others the budget that is told below. Intervals are 95%, by bootstrap over
questions; those of gains and ratios are paired. A question without an answer scores 0, and is taken
to cost what answers cost on average.

What the intervals leave out: other conversations than these (questions of one are alike, and there
are few of them), other seeds of training, and that many comparisons are made. The routers that see
lambda alone, and those that were trained apart, have the settings that were chosen for the one that
sees the question.
"""

LIMITS = """{sample}, on {histories}. Backbones: {weights}; the answerer is {answerer}. Retrieval:
{ranking}, {max_tokens} tokens. Judge: {judge}. Building is what the encoder costs when histories
are ingested, divided by these questions: with more questions to a history it is less.
Larger models, or questions of another kind, may give another order."""

NO_JUDGE = "none; scores are the dataset's own, against the words of its answers"

OVERVIEW = """F1 for micro-USD a question, and which way it was. The best of each kind are known
after the fact, which flatters the kinds that have more ways; below are those that were chosen
before.
"""

MIXTURES = """A service without a router may send any share of its questions one way and the rest
another, so a router that spends c is compared with the best mixture that spends c: of constants
(the same tiers for every question); of all that reads no question, which adds plain retrieval, no
memory, the constants that are not chosen, and the router that sees lambda alone; of that router
at its several lambdas; of plain retrieval with more or fewer chunks. Below the cheapest of them it
is compared with the cheapest, above the dearest with the best. The best constant that costs no more
is milder: constants are few, and the next one up may cost a little more. But for the first, all is
known after the fact, which favours what the router is compared with."""

CHOSEN = "The constants that are mixed are those on the frontier of the validation questions: {}."

NOT_VALIDATED = "Not evaluated there, and so not to be chosen: {}."

AFTERWARDS = """The constants that are mixed are those that are best on these very questions, known
after the fact: that favours them."""

HEADLINE = """A router at one lambda, that of its best score or of its best gain, chosen on the
questions that the table names; so is the best plain retrieval. Where these are the questions of the
test themselves, choosing favours the router."""

RECEIPTS = """Of the question {}: each module's tier and how probable the router found it, tokens in
and out, micro-USD. What has no tokens was done by rules."""

AREAS = """Every frontier is taken with its mixtures: the area under its concave hull over the
logarithm of the cost, from the cheapest to the dearest of all ways and down to no score, as a share
of that rectangle with the height 1. A random mixture of the constants, from the cheapest to the
best, has 1.000 of their area; what does not reach down to the cheapest, or up to the best, has
less. A hull picks its points after the fact, which favours what has more of them."""


def page(splits: Sequence[Compared], sections: Sequence[str]) -> str:
    """All of it, with a row for each evaluation first."""
    return "\n".join([TITLE, OVERVIEW, overview(splits).markdown(), "", *sections])


def section(split: Compared, charts: Mapping[str, str]) -> str:
    """What one evaluation found. `charts` has the stems of their files, by title."""
    figures = split.figures
    summary = summarized(figures)
    parts = [
        f"## {split.heading}",
        _limits(figures),
        tables.means(figures, summary).markdown(),
        *_shown(charts),
        *(_of_routers(split) if split.routers else []),
        "### Areas under the frontiers",
        AREAS,
        areas(split).markdown(),
        "### By category",
        tables.categories(figures, summary).markdown(),
        "### How much there was to win",
        "An oracle knows for every question which way scores best; of equals the cheapest.",
        oracles(split).markdown(),
        "### What it depends on",
        _setting(figures).markdown(),
        *_receipts(figures),
    ]
    return "\n\n".join(parts) + "\n"


def joint_section(title: str, charts: Mapping[str, str]) -> str:
    """Charts of several evaluations; nothing without one."""
    return "\n\n".join([f"## {title}", *_shown(charts)]) + "\n" if charts else ""


def _of_routers(split: Compared) -> list[str]:
    return [
        "### In short",
        HEADLINE,
        headline(split).markdown(),
        "### What reading the question gains",
        MIXTURES,
        _mixed(split),
        mean_gains(split).markdown(),
        gains(split).markdown(),
        "### Tiers",
        "Low / Mid / High, per cent of the questions.",
        tables.tiers(split.figures).markdown(),
    ]


def _mixed(split: Compared) -> str:
    if not split.chosen:
        return AFTERWARDS
    told = [CHOSEN.format(", ".join(split.mixable))]
    if split.not_validated:
        told.append(NOT_VALIDATED.format(", ".join(split.not_validated)))
    return " ".join(told)


def _shown(charts: Mapping[str, str]) -> list[str]:
    return [f"[![{title}]({stem}.png)]({stem}.html)" for title, stem in charts.items()]


def _limits(figures: Figures) -> str:
    setting = figures.head.setting
    backbones = setting["backbones"]
    return LIMITS.format(
        sample=sample(figures),
        histories=counted(len({each.history for each in figures.head.questions})),
        weights=", ".join(f"{tier} {backbones[key]}" for tier, key in setting["tiers"].items()),
        answerer=backbones[setting["answerer"]],
        ranking=setting["retrieval"]["ranking"],
        max_tokens=setting["max_tokens"],
        judge="; ".join(figures.judges) or NO_JUDGE,
    )


def sample(figures: Figures) -> str:
    """How many of the split's questions, and how they were chosen."""
    count, found = len(figures.head.questions), figures.head.sample
    if count == found.size:
        return f"All {count} questions of the split"
    return f"{count} of {found.size} questions, stratified by category, seed {found.seed}"


def counted(histories: int) -> str:
    """In words."""
    return "one conversation" if histories == 1 else f"{histories} conversations"


def _setting(figures: Figures) -> Table:
    head = figures.head
    setting = head.setting
    codes = (f"{code}: {count} answers" for code, count in figures.codes.items())
    told = {
        "data (SHA-256)": setting["sha256"],
        "code": "; ".join(codes),
        "prompts": setting["prompts"],
        "weights": json.dumps(setting["weights"]),
        "prices, USD per million tokens in and out": json.dumps(setting["prices"]),
        "words of a memory": json.dumps(setting["memory_words"]),
        "histories": f"{len(head.builds)}, {sum(each.tokens for each in head.builds.values())} "
        "tokens read by the encoder",
        **{
            f"router {label}": "; ".join(map(str, several))
            for label, several in head.routers.items()
        },
    }
    return Table(("what", "value"), [(name, f"`{value}`") for name, value in told.items()])


def _receipts(figures: Figures) -> list[str]:
    told = receipts.told(figures)
    if not told:
        return []
    return [
        "### Receipts",
        RECEIPTS.format(figures.head.questions[0].id),
        receipts.side_by_side(told).markdown(),
        receipts.whole(told),
    ]
