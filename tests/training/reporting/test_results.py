"""Results on disk: whole, of one setting, read back as they were."""

import json

import pytest

from budgetmem.errors import ConfigError, InvalidInput
from tests.training.rollouts.test_walks import QUESTION, walker
from training.arms import Pinned
from training.reporting.results import (
    SETTING,
    Build,
    Costs,
    Result,
    Results,
    receipt_of,
    write_json,
)
from training.reporting.trained import Trained
from training.rollouts.paths import parse


def result(question="q1", score=0.5, category="temporal", **changed) -> Result:
    given = {
        "history": "chat",
        "prediction": "in May",
        "recall": 0.5,
        "verdicts": {},
        "costs_usd": Costs(2e-6, 1e-6),
        "query_tokens": 700,
        "answer_tokens": 100,
        "tiers": "LMHLM",
        "fell": (),
        "milliseconds": 12.5,
        "code": "c0de",
        "receipt": {"strategy": "capacity"},
    }
    return Result(question=question, score=score, category=category, **{**given, **changed})


def test_what_is_kept_is_read_back_in_the_order_asked_for(tmp_path):
    results = Results(tmp_path / "r", {"split": "test"})
    assert not results.has("LLLLL", "q1")
    for name in ("q2", "q1", "a/b: c"):
        results.put("LLLLL", result(name))
    assert results.has("LLLLL", "q1")
    assert not results.has("HHHHH", "q1")
    found = results.of("LLLLL", ["q1", "q3", "a/b: c", "q2"])
    assert results.get("LLLLL", "q1") == result("q1")
    assert found == [result("q1"), result("a/b: c"), result("q2")]
    assert results.arms() == ["LLLLL"]


def test_a_folder_goes_on_with_the_same_setting_alone(tmp_path):
    Results(tmp_path, {"split": "test", "prices": (1, 2)}).put("LLLLL", result())
    assert Results(tmp_path, {"split": "test", "prices": [1, 2]}).has("LLLLL", "q1")
    with pytest.raises(ConfigError, match=r'another setting .split: "test", here "train".'):
        Results(tmp_path, {"split": "train", "prices": [1, 2]})


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "precious").write_text("mine")
    with pytest.raises(ConfigError, match=r"is not empty, and has no setting\.json"):
        Results(tmp_path, {})
    assert not (tmp_path / SETTING).exists()


def test_a_name_stays_with_its_router(tmp_path):
    results = Results(tmp_path, {})
    first, second = Trained("v1", (0.0, 0.9), "locomo"), Trained("v2", (0.0, 0.9))
    assert results.add_routers([("a", first)]) == {"a": [first]}
    assert results.add_routers([("b", second), ("a", first)]) == {"a": [first], "b": [second]}
    with pytest.raises(
        ConfigError, match="'a' is the router v1 already, which takes lambdas of v3"
    ):
        results.add_routers([("a", Trained("v3", (0.9, 0.9)))])
    with pytest.raises(ConfigError, match="'b' is the router v2 already"):
        results.add_routers([("b", Trained("v3"))])  # for any lambda
    assert results.add_routers([]) == {"a": [first], "b": [second]}


def test_routers_for_other_lambdas_share_a_name(tmp_path):
    results = Results(tmp_path, {})
    seven = [Trained(f"v{place}", (weight, weight)) for place, weight in enumerate((0.1, 0.3, 0.9))]
    results.add_routers([("seven", each) for each in seven[:2]])
    assert results.add_routers([("seven", seven[2])]) == {"seven": seven}


def test_what_building_takes_is_kept_beside_what_was_known(tmp_path):
    results = Results(tmp_path, {})
    assert results.builds() == {}
    one, other = Build(100, 4e-8), Build(7, 2e-9)
    results.add_builds({"a": one})
    results.add_builds({"b": other})
    assert Results(tmp_path, {}).builds() == {"a": one, "b": other}


def test_a_damaged_result_is_named(tmp_path):
    results = Results(tmp_path, {})
    results.put("LLLLL", result())
    file = tmp_path / "LLLLL" / "q1.json"
    file.write_text(file.read_text()[:-20])
    with pytest.raises(InvalidInput, match=r"q1\.json: is not what is kept here"):
        results.of("LLLLL", ["q1"])


def test_nothing_half_written_is_left_behind(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a" / "x.json", {"score": float("nan")})
    assert not list((tmp_path / "a").glob("*"))


async def test_a_receipt_is_told_as_the_service_tells_it():
    answered = await Pinned(parse("LMHLM")).answer(walker(), QUESTION)
    told = receipt_of(answered.receipt)
    assert [step["choice"]["tier"] for step in told["steps"]][:2] == ["TIER_LOW", "TIER_MID"]
    assert json.loads(json.dumps(told)) == told
