"""The charts of a report, described."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from budgetmem.modules import MODULES
from budgetmem.tiers import Tier
from training.reporting.arm_names import constants, plain, retrieved_tokens, routed
from training.reporting.compared import Compared
from training.reporting.figures import Figures
from training.reporting.frontier import frontier
from training.reporting.tables import tier_shares
from training.statistics import bootstrap

WIDTH, HEIGHT = 560, 380

TIER_COLOURS = ("#c6dbef", "#6baed6", "#08519c")

COST = alt.X("cost:Q", title="micro-USD a question, the answer included").scale(
    type="log", nice=False, padding=15
)
LEGEND = alt.Legend(symbolOpacity=1)
TOLD = tuple(alt.Tooltip(name) for name in ("arm:N", "score:Q", "cost:Q", "low:Q", "high:Q"))


def frontier_chart(split: Compared) -> alt.LayerChart:
    """Mean score over mean cost; routers and the mixtures of constants as lines."""
    figures = split.figures
    groups = {
        **{label: list(arms.values()) for label, arms in split.routers.items()},
        "mixtures of constants": list(split.mixable),
        "plain retrieval": list(split.plain),
    }
    others = [arm for arm in split.constants if arm not in split.mixable]
    lines = _points(figures, groups)
    alone = _points(figures, {"other constants": others})
    order = list(groups) + (["other constants"] if others else [])
    colour = alt.Color("group:N", title=None, sort=order, legend=LEGEND)
    return _lines(lines, alone, colour, COST, split.heading)


def strategies_chart(found: Sequence[Figures], heading: str) -> alt.LayerChart:
    """The frontiers of several strategies, of each of their routers and of their constants."""
    points = []
    for figures in found:
        arms = figures.head.arms
        routers = {label: list(each.values()) for label, each in routed(arms).items()}
        strategy = figures.head.setting["strategy"]
        groups = {**routers, "constants": frontier(figures.outcomes(constants(arms)))}
        named = {f"{strategy}: {group}": each for group, each in groups.items()}
        points += _points(figures, named)
    colour = alt.Color("group:N", title=None, sort=None, legend=LEGEND)
    return _lines(points, [], colour, COST, heading)


def budget_chart(found: Sequence[Figures], heading: str) -> alt.LayerChart:
    """Mean score over the retrieval budget: a line for every way of answering within it, and one
    for plain retrieval of more or fewer tokens."""
    points: dict[tuple[str, int], dict[str, Any]] = {}
    for figures in found:
        budget = int(figures.head.setting["max_tokens"])
        for point in _points(figures, {"": figures.head.arms}):
            tokens = retrieved_tokens(point["arm"], budget)
            group = "plain retrieval" if plain([point["arm"]]) else point["arm"]
            if tokens:
                points[group, tokens] = {**point, "group": group, "budget": tokens}
    colour = alt.Color("group:N", title="answered by", sort=None, legend=LEGEND)
    x = alt.X("budget:Q", title="tokens that are retrieved").scale(zero=False, padding=15)
    return _lines(list(points.values()), [], colour, x, heading)


def tier_chart(split: Compared, label: str) -> alt.FacetChart:
    """How often each module got each tier, over lambda."""
    rows = [
        {"lambda": weight, "module": module, "tier": tier.label, "rank": int(tier), "share": share}
        for weight, arm in split.routers[label].items()
        for module, shares in tier_shares(split.figures.found[arm]).items()
        for tier, share in shares.items()
    ]
    order = [tier.label for tier in Tier]
    bars = (
        alt.Chart(alt.InlineData(values=rows))
        .mark_bar()
        .encode(
            x=alt.X("lambda:O"),
            y=alt.Y("share:Q", title="share of questions").axis(format="%"),
            color=alt.Color("tier:N", sort=order, title="tier").scale(
                domain=order, range=TIER_COLOURS
            ),
            order="rank:Q",
            tooltip=["module:N", "lambda:O", "tier:N", alt.Tooltip("share:Q", format=".0%")],
        )
        .properties(width=110, height=180)
    )
    columns = alt.Column("module:N", sort=list(MODULES), title=None)
    chart: alt.FacetChart = bars.facet(columns, title=f"{label}: {split.heading}")
    return chart


def _lines(
    points: Sequence[Mapping[str, Any]],
    alone: Sequence[Mapping[str, Any]],
    colour: alt.Color,
    x: alt.X,
    heading: str,
) -> alt.LayerChart:
    """Scores with their intervals, a line for each group; those that stand `alone` have none."""
    y = alt.Y("score:Q", title="F1").scale(zero=False, padding=15)
    base = alt.Chart(alt.InlineData(values=list(points))).encode(x=x, y=y, color=colour)
    whiskers = base.mark_rule(opacity=0.35).encode(y="low:Q", y2="high:Q")
    dots = alt.Chart(alt.InlineData(values=[*points, *alone])).mark_circle(size=70)
    shown = dots.encode(x=x, y=y, color=colour, tooltip=list(TOLD)).interactive()
    layers = alt.layer(whiskers, base.mark_line(), shown)
    chart: alt.LayerChart = layers.properties(width=WIDTH, height=HEIGHT, title=heading)
    return chart


def _points(figures: Figures, groups: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
    """A row for each way of answering: its mean score with the interval, its mean cost."""
    rows = []
    for group, arms in groups.items():
        for arm in arms:
            if figures.found[arm]:
                one = figures.outcome(arm)
                score = bootstrap(one.scores)
                told = {"score": score.mean, "low": score.low, "high": score.high}
                rounded = {name: round(value, 4) for name, value in told.items()}
                cost = round(one.point[0] * 1e6, 3)
                rows.append({"group": group, "arm": arm, **rounded, "cost": cost})
    return rows
