"""The dashboard draws what servers expose, and all of its panels can be seen."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path

import pytest

from server.observability.catalogue import CATALOGUE
from tests.deploy.queries import FOREIGN, LABELS, series_of, unknown_labels

FILE = Path(__file__).parents[2] / "deploy" / "grafana" / "budgetmem.json"
DASHBOARD = json.loads(FILE.read_text(encoding="utf-8"))
PANELS = DASHBOARD["panels"]
TARGETS = [(panel["title"], each) for panel in PANELS for each in panel.get("targets", ())]
EXPRESSIONS = [target["expr"] for _, target in TARGETS]


@pytest.mark.parametrize(("title", "target"), TARGETS, ids=lambda each: str(each)[:40])
def test_every_query_is_of_series_and_labels_that_there_are(title, target):
    names = series_of(target["expr"])
    assert names
    assert names <= LABELS.keys() | FOREIGN
    assert list(unknown_labels(target["expr"])) == []
    assert target["expr"].count("(") == target["expr"].count(")")
    assert '{instance=~"$instance"' in target["expr"]


@pytest.mark.parametrize(
    "family", [each for families in CATALOGUE.values() for each in families], ids=lambda f: f.name
)
def test_every_metric_is_drawn(family):
    drawn = set().union(*(series_of(expression) for expression in EXPRESSIONS))
    assert any(name.startswith(family.name) for name in drawn)


def test_histograms_are_read_by_their_buckets():
    quantiles = [each for each in EXPRESSIONS if "histogram_quantile" in each]
    assert quantiles
    assert all("_bucket{" in each and "le" in each for each in quantiles)


def test_panels_have_ids_titles_and_places_of_their_own():
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    assert all(panel["title"] for panel in PANELS)
    for panel in PANELS:
        place = panel["gridPos"]
        assert 0 <= place["x"] < place["x"] + place["w"] <= 24
    for one, other in combinations((panel["gridPos"] for panel in PANELS), 2):
        apart_x = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        apart_y = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert apart_x or apart_y


def test_it_asks_whoever_imports_it_for_the_data_source():
    variables = {each["name"]: each["type"] for each in DASHBOARD["templating"]["list"]}
    assert variables == {"datasource": "datasource", "instance": "query"}
    sources = {target["datasource"]["uid"] for _, target in TARGETS}
    assert sources == {"${datasource}"}
    assert (DASHBOARD["id"], DASHBOARD["schemaVersion"]) == (None, 41)
