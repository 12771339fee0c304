from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.deploy.queries import FOREIGN, LABELS, series_of, unknown_labels

DEPLOY = Path(__file__).parents[2] / "deploy"
CONFIG = yaml.safe_load((DEPLOY / "prometheus.yaml").read_text(encoding="utf-8"))
RULES = [
    rule
    for name in CONFIG["rule_files"]
    for group in yaml.safe_load((DEPLOY / name).read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_every_alert_is_of_series_and_labels_that_there_are(rule):
    assert series_of(rule["expr"]) <= LABELS.keys() | FOREIGN
    assert series_of(rule["expr"])
    assert list(unknown_labels(rule["expr"])) == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_every_alert_says_what_is_wrong_and_how_urgent_it_is(rule):
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert rule["annotations"]["summary"]


def test_the_example_scrapes_the_port_of_the_documentation():
    [job] = CONFIG["scrape_configs"]
    assert job["static_configs"] == [{"targets": ["127.0.0.1:9464"]}]
