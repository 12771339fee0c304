"""What the results of several evaluations are called on one page, and which belong together."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from budgetmem.errors import ConfigError
from training.differences import differences
from training.reporting.figures import Figures

ALWAYS = ("dataset", "split", "strategy")

WHERE_DIFFERENT = {"profile": "profile {}", "max_tokens": "{} tokens"}
"""What a heading tells only if it is not the same for all of the page."""


@dataclass(frozen=True)
class Named:
    """Results with the stem of their files, and the heading of their section."""

    stem: str
    heading: str
    figures: Figures


def named(found: Sequence[Figures]) -> list[Named]:
    """Their names, each different. Raises ConfigError for results that cannot be told apart."""
    names: dict[str, Named] = {}
    for each in found:
        one = Named(*_name(each, (), found), each)
        if (other := names.get(one.stem)) is not None:
            settings = (other.figures.head.setting, each.head.setting)
            raise ConfigError(
                f"two of the figures are called {one.heading!r}, and differ in what no heading "
                f"tells ({'; '.join(differences(*settings))}): report them apart"
            )
        names[one.stem] = one
    return list(names.values())


def common_name(
    family: Sequence[Figures], keys: Collection[str], found: Sequence[Figures]
) -> tuple[str, str]:
    """A stem and a heading for results that differ in these keys alone, among all of a page."""
    stem, heading = _name(family[0], keys, found)
    return stem, f"{heading}, {len(family[0].head.questions)} questions"


def _name(figures: Figures, without: Collection[str], found: Sequence[Figures]) -> tuple[str, str]:
    settings = [each.head.setting for each in found]
    telling = [key for key in WHERE_DIFFERENT if len({each[key] for each in settings}) > 1]
    setting = figures.head.setting
    words = [str(setting[key]) for key in ALWAYS if key not in without]
    words += [WHERE_DIFFERENT[key].format(setting[key]) for key in telling if key not in without]
    return re.sub(r"[^\w.]+", "-", "-".join(words)), ", ".join(words)


def setting_but(figures: Figures, keys: Collection[str]) -> str:
    """The same for results of settings that differ in these keys alone."""
    setting = figures.head.setting
    return json.dumps({key: setting[key] for key in setting if key not in keys}, sort_keys=True)


def grouped(found: Sequence[Figures], keys: Collection[str]) -> list[list[Figures]]:
    """Those together whose settings differ in these keys at most, in the order of the first."""
    groups: dict[str, list[Figures]] = {}
    for each in found:
        groups.setdefault(setting_but(each, keys), []).append(each)
    return list(groups.values())


def families(found: Sequence[Figures], keys: Collection[str]) -> list[list[Figures]]:
    """Those of which several differ in these keys alone, on the questions that all of a family
    were asked."""
    shared = (on_the_same(group) for group in grouped(found, keys) if len(group) > 1)
    return [group for group in shared if group[0].head.questions]


def on_the_same(group: Sequence[Figures]) -> list[Figures]:
    """Each on the questions that all of them were asked."""
    asked = [{question.id for question in each.head.questions} for each in group]
    both = set.intersection(*asked)
    return [_on(each, both) for each in group]


def _on(figures: Figures, questions: Collection[str]) -> Figures:
    head = figures.head
    kept = tuple(each for each in head.questions if each.id in questions)
    histories = {each.history for each in kept}
    builds = {name: each for name, each in head.builds.items() if name in histories}
    found = {
        arm: [each for each in results if each.question in questions]
        for arm, results in figures.found.items()
    }
    return Figures(replace(head, questions=kept, builds=builds), found)
