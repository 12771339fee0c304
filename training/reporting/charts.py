"""The charts of a report: one description each, drawn as a PNG and as an interactive page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import altair as alt

from budgetmem.modules import MODULES
from budgetmem.tiers import Tier
from training.reporting.arm_names import constants, plain, routed
from training.reporting.figures import Figures
from training.reporting.summary import summarized
from training.reporting.tables import Compared, tier_shares

WIDTH, HEIGHT = 560, 380
PIXELS_A_POINT = 2.0

TIER_COLOURS = ("#c6dbef", "#6baed6", "#08519c")


def frontier_chart(split: Compared) -> alt.LayerChart:
    """Mean score over mean cost; routers and the mixtures of constants as lines."""
    figures = split.figures
    groups = {
        **{label: list(arms.values()) for label, arms in routed(figures.head.arms).items()},
        "mixtures of constants": list(split.mixable),
        "plain retrieval": plain(figures.head.arms),
    }
    others = [arm for arm in constants(figures.head.arms) if arm not in split.mixable]
    lines = _points(figures, groups)
    alone = _points(figures, {"other constants": others})
    order = list(groups) + (["other constants"] if others else [])
    x = alt.X("cost:Q", title="micro-USD a question, the answer included").scale(
        zero=False, padding=15
    )
    y = alt.Y("score:Q", title="F1").scale(zero=False, padding=15)
    colour = alt.Color("group:N", title=None, sort=order)
    told = [alt.Tooltip(name) for name in ("arm:N", "score:Q", "cost:Q", "low:Q", "high:Q")]
    base = alt.Chart(alt.InlineData(values=lines)).encode(x=x, y=y, color=colour)
    whiskers = base.mark_rule(opacity=0.35).encode(y="low:Q", y2="high:Q")
    dots = alt.Chart(alt.InlineData(values=[*lines, *alone])).mark_circle(size=70)
    shown = dots.encode(x=x, y=y, color=colour, tooltip=told).interactive()
    layers = alt.layer(whiskers, base.mark_line(), shown)
    chart: alt.LayerChart = layers.properties(width=WIDTH, height=HEIGHT, title=_title(figures))
    return chart


def tier_chart(figures: Figures, label: str) -> alt.FacetChart:
    """How often each module got each tier, over lambda."""
    rows = [each for each in tier_shares(figures) if each["router"] == label]
    order = [tier.label for tier in Tier]
    ranked = [{**each, "rank": order.index(each["tier"])} for each in rows]
    bars = (
        alt.Chart(alt.InlineData(values=ranked))
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
    chart: alt.FacetChart = bars.facet(columns, title=f"{label}: {_title(figures)}")
    return chart


def save(chart: alt.TopLevelMixin, stem: Path) -> None:
    """STEM.png, and STEM.html with all that it needs to work without a network."""
    chart.save(f"{stem}.png", scale_factor=PIXELS_A_POINT)
    chart.save(f"{stem}.html", inline=True)


def _points(figures: Figures, groups: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
    """A row for each way of answering: its mean score with the interval, its mean cost."""
    summary = summarized(figures.found, len(figures.head.questions), {})
    return [
        {
            "group": group,
            "arm": arm,
            "score": round(summary[arm]["score"]["mean"], 4),
            "low": round(summary[arm]["score"]["low"], 4),
            "high": round(summary[arm]["score"]["high"], 4),
            "cost": round(summary[arm]["cost_usd"]["mean"] * 1e6, 3),
        }
        for group, arms in groups.items()
        for arm in arms
        if summary[arm]["answered"]
    ]


def _title(figures: Figures) -> str:
    setting = figures.head.setting
    return (
        f"{setting['dataset']}, {setting['split']}, {setting['strategy']}, "
        f"{len(figures.head.questions)} questions"
    )
