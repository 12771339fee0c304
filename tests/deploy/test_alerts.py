from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from budgetmem.breakers import BreakerState
from server.observability.state import BREAKER_VALUES
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


def test_servers_that_no_target_is_left_of_are_down_too():
    [rule] = [rule for rule in RULES if rule["alert"] == "BudgetMemDown"]
    [job] = CONFIG["scrape_configs"]
    assert f'absent(up{{job="{job["job_name"]}"}})' in rule["expr"]


def test_a_breaker_that_is_probed_is_not_taken_for_closed():
    """While its model stays away, a breaker is half open at every rest, which ends an `== 2`."""
    [rule] = [rule for rule in RULES if rule["alert"] == "BudgetMemBreakerOpen"]
    assert rule["expr"] == "budgetmem_breaker_state > 0"
    assert (
        BREAKER_VALUES[BreakerState.CLOSED]
        == 0
        < min(BREAKER_VALUES[BreakerState.HALF_OPEN], BREAKER_VALUES[BreakerState.OPEN])
    )
