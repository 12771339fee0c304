"""Which metrics and labels a PromQL expression speaks of."""

from __future__ import annotations

import re
from collections.abc import Iterator

from server.observability.catalogue import CATALOGUE

FOREIGN = {"up", "process_resident_memory_bytes"}
"""Metrics that come from Prometheus itself and from its client library."""

TARGET = {"instance", "job"}
"""Labels that Prometheus gives to whatever it scrapes."""

SUFFIXES = {"histogram": ("_bucket", "_sum", "_count"), "counter": ("",), "gauge": ("",)}
LABELS = {
    family.name + suffix: {*family.labels, *({"le"} if suffix == "_bucket" else ())}
    for families in CATALOGUE.values()
    for family in families
    for suffix in SUFFIXES[family.kind]
}
"""The labels of every series that a server exposes, by its name."""


def series_of(expression: str) -> set[str]:
    """The names of series."""
    names = set(re.findall(r"\b(?:budgetmem|process)_\w+\b", expression))
    return names | ({"up"} & set(re.findall(r"\bup\b", expression)))


def unknown_labels(expression: str) -> Iterator[str]:
    """Labels in selectors and groupings that the series of the expression do not have."""
    names = series_of(expression)
    known = TARGET.union(*(LABELS.get(name, set()) for name in names))
    for selector in re.findall(r"\{(.*?)\}", expression):
        yield from set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selector)) - known
    for grouping in re.findall(r"\b(?:by|on|ignoring)\s*\((.*?)\)", expression):
        yield from {label.strip() for label in grouping.split(",")} - known
