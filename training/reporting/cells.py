"""Numbers as the cells of tables have them."""

from __future__ import annotations

from collections.abc import Mapping

from training.reporting.frontier import Choice, Gain, Outcome, matched, mixture


def interval(of: Mapping[str, float]) -> str:
    """A mean, and the ends of its interval."""
    return f"{of['mean']:.3f} [{of['low']:.3f}, {of['high']:.3f}]"


def micro(usd: float) -> str:
    """In micro-USD."""
    return f"{usd * 1e6:.1f}"


def gained(found: Gain) -> str:
    """A difference with its interval, in per cent of the other's score, and what it is against."""
    part = "" if found.relative is None else f", {round(100 * found.relative):+d}%"
    mixed = " + ".join(f"{share:.0%} {name}" for name, share in found.against.items())
    mean, low, high = (
        # Not -0.000.
        round(value, 3) + 0.0
        for value in (found.score.mean, found.score.low, found.score.high)
    )
    return f"{mean:+.3f} [{low:+.3f}, {high:+.3f}]{part}{mixed and f' ({mixed})'}"


def gained_at_cost(one: Outcome, others: Mapping[str, Outcome], choose: Choice = mixture) -> str:
    """What one way gains on what is chosen of others for its cost; "" without others."""
    return gained(matched(one, others, choose)) if others else ""
