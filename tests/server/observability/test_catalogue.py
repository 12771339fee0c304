"""The catalogue is what a server has, no more and no less, and what the documentation says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from budgetmem.scheduling.tier_scheduler import SchedulerStats
from server.observability.catalogue import CATALOGUE, table
from server.observability.family import Family
from server.observability.observing import Observability
from server.observability.state import StateCollector

DOCS = Path(__file__).parents[3] / "docs" / "observability.md"
FAMILIES = [family for families in CATALOGUE.values() for family in families]
UNITS = ("_seconds", "_usd", "_total", "_info")


@pytest.fixture
def registry() -> CollectorRegistry:
    """Of a whole server, with everything to collect from."""
    seen = Observability()
    seen.watch_state(StateCollector("tiny", lambda: True, dict))
    seen.watch_scheduler(lambda: SchedulerStats({}, {}, {}, {}))
    return seen.registry


def test_every_metric_of_a_server_is_in_the_catalogue_and_the_other_way_round(registry):
    found = {
        metric.name + ("_total" if metric.type == "counter" else ""): (
            metric.type,
            metric.documentation,
        )
        for metric in registry.collect()
        if metric.name.startswith("budgetmem_")
    }
    assert found == {family.name: (family.kind, family.about) for family in FAMILIES}


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_names_follow_prometheus_conventions(family: Family):
    assert re.fullmatch(r"budgetmem_[a-z]+(_[a-z]+)*", family.name)
    assert (family.kind == "counter") == family.name.endswith("_total")
    assert not re.search(r"_(ms|milliseconds|kb|mb|percent|count|sum|bucket)(_|$)", family.name)
    assert all(re.fullmatch("[a-z]+", label) for label in family.labels)
    assert family.about.endswith(".")


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_no_label_is_for_what_callers_choose(family: Family):
    chosen = {"tenant", "history", "query", "question", "user", "session", "request", "id", "trace"}
    assert not chosen & set(family.labels)


def test_names_are_there_once():
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)


def test_the_documentation_has_the_table():
    assert table() in DOCS.read_text(encoding="utf-8"), (
        "put the output of `python -m server.observability.catalogue` into docs/observability.md"
    )
