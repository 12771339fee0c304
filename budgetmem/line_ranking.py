"""Ranks the single lines of the units that a search found: the ranking `lines`.

A turn with its neighbours is the better thing to embed and to index, but its neighbours take most
of a budget. So units are searched, and their lines are taken one by one: by a linear model of nine
signals, of a line, what stands before it and the session that it is in. The score of a line is
the model's probability that it, among all lines found, is the evidence.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from budgetmem.chunking import Unit
from budgetmem.dates import resolve
from budgetmem.forms import parsed
from budgetmem.ranking import Ranked
from budgetmem.text import keywords

WEIGHTS: Mapping[str, float] = {
    "dense": 6.58,
    "keyword": 1.84,
    "coverage": 2.97,
    "speaker": 3.16,
    "session_dense": 3.64,
    "session_keyword": 2.44,
    "answers": 2.51,
    "day": 4.33,
    "asks": -0.66,
}
"""Fitted on LoCoMo's training conversations by `training/fit_ranking.py` (docs/benchmarks.md).

`dense`: cosine of the query with the unit around the line. `keyword`: the unit's BM25, divided by
the best. `coverage`: the share of the query's keywords that the line has, each weighing its inverse
frequency among the lines found. `speaker`: 1 if the line's is the only speaker that the query
names. `session_dense`: mean of the three highest `dense` in the session; `session_keyword`: its
highest `keyword`. `answers`: the `coverage` of the line before, if that asks. `day`: 1 if the line
was said on a day that the query names. `asks`: 1 if the line is a question.
"""

_BEST_OF_SESSION = 3


@dataclass(frozen=True)
class _Spot:
    """A line in its place. `before` is empty where a session, or the unit, begins."""

    unit: Unit
    text: str
    before: str

    @property
    def asks(self) -> bool:
        return self.text.rstrip().endswith("?")


def rank_lines(
    query: str,
    dense: Sequence[Ranked],
    keyword: Sequence[Ranked],
    units: Mapping[str, Unit],
) -> list[Ranked]:
    """The ids of the found units, best first by the line that each stands around.

    The scores are probabilities that sum to 1. A unit without such a line counts as a whole. Ties
    are broken by id, so the order is total.
    """
    names = sorted({name for name, _ in (*dense, *keyword)})
    if not names:
        return []
    found = signals(query, dense, keyword, [units[name] for name in names])
    logits = found @ np.array(list(WEIGHTS.values()))
    chances = np.exp(logits - logits.max())
    chances /= chances.sum()
    ranked = zip(names, map(float, chances), strict=True)
    return sorted(ranked, key=lambda item: (-item[1], item[0]))


def signals(
    query: str, dense: Sequence[Ranked], keyword: Sequence[Ranked], units: Sequence[Unit]
) -> NDArray[np.float64]:
    """The signals of the units' lines, in the order of WEIGHTS: [len(units), len(WEIGHTS)].

    A unit that is not among the dense hits counts as near as the last of them.
    """
    spots = [_spot(unit) for unit in units]
    near = _filled(units, dense, min((score for _, score in dense), default=0.0))
    most = max((score for _, score in keyword), default=0.0)
    said = _filled(units, keyword, 0.0) / (most if most > 0 else 1.0)
    covered, covered_before = _coverage(query, spots)
    columns = {
        "dense": near,
        "keyword": said,
        "coverage": covered,
        "speaker": _speaker(query, spots),
        "session_dense": _of_session(units, near, _BEST_OF_SESSION),
        "session_keyword": _of_session(units, said, 1),
        "answers": covered_before * [spot.before.rstrip().endswith("?") for spot in spots],
        "day": _day(query, units),
        "asks": np.array([float(spot.asks) for spot in spots]),
    }
    return np.stack([columns[name] for name in WEIGHTS], axis=1)


def focus(unit: Unit) -> Unit:
    """The unit reduced to the line it stands around; itself if there is no such line."""
    if unit.focus is None:
        return unit
    line = unit.lines[unit.focus]
    return Unit(unit.id, unit.session, unit.first + unit.focus, 0, (line,), line.tokens)


def _spot(unit: Unit) -> _Spot:
    before = unit.lines[unit.focus - 1].text if unit.focus else ""
    return _Spot(unit, focus(unit).text, before)


def _filled(units: Sequence[Unit], ranked: Sequence[Ranked], default: float) -> NDArray[np.float64]:
    scores = dict(ranked)
    return np.array([scores.get(unit.id, default) for unit in units])


def _coverage(
    query: str, spots: Sequence[_Spot]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of the lines, and of those before them."""
    asked = set(keywords(query))
    held = {text: asked & set(keywords(text)) for text in _texts(spots)}
    common = Counter(word for spot in spots for word in held[spot.text])
    weights = {word: math.log((len(spots) + 1) / (common[word] + 0.5)) for word in asked}
    total = sum(weights.values()) or 1.0
    share = {text: sum(weights[word] for word in words) / total for text, words in held.items()}
    return (
        np.array([share[spot.text] for spot in spots]),
        np.array([share[spot.before] for spot in spots]),
    )


def _texts(spots: Iterable[_Spot]) -> set[str]:
    return {text for spot in spots for text in (spot.text, spot.before)}


def _speaker(query: str, spots: Sequence[_Spot]) -> NDArray[np.float64]:
    speakers = [parsed(spot.text)[0] for spot in spots]
    named = [
        speaker
        for speaker in sorted(set(filter(None, speakers)))
        if re.search(rf"\b{re.escape(speaker)}\b", query, re.IGNORECASE)
    ]
    wanted = named[0] if len(named) == 1 else None
    return np.array([float(speaker == wanted) for speaker in speakers])


def _of_session(
    units: Sequence[Unit], scores: NDArray[np.float64], count: int
) -> NDArray[np.float64]:
    """The mean of the `count` highest scores of each unit's session."""
    members: dict[str, list[float]] = defaultdict(list)
    for unit, score in zip(units, scores, strict=True):
        members[unit.session].append(float(score))
    best = {name: float(np.mean(sorted(some)[-count:])) for name, some in members.items()}
    return np.array([best[unit.session] for unit in units])


def _day(query: str, units: Sequence[Unit]) -> NDArray[np.float64]:
    days = {found.value_iso for found in resolve(query, None) if found.granularity == "day"}
    return np.array(
        [float(unit.time is not None and unit.time.date().isoformat() in days) for unit in units]
    )
