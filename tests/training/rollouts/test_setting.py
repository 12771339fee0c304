"""What recorded figures depend on: all of it is in the setting, and no place of this machine."""

import hashlib
import json

import pytest

from budgetmem.config import load_profile
from budgetmem.errors import ConfigError
from tests.training.datasets.records import paragraphs, written
from training.datasets import open_dataset
from training.rollouts import setting
from training.rollouts.setting import (
    check_embeds_queries,
    identity,
    of_profile,
    recipe,
    setting_of,
    tenant_of,
)

SMALL = load_profile("small")


@pytest.fixture
def dataset(tmp_path):
    data = tmp_path / "locomo10.json"
    data.write_bytes(b"[]")
    return open_dataset("locomo", data)


def made(dataset, **changed):
    given = {"split": "train", "strategy": "capacity", "max_tokens": None}
    return setting_of(SMALL, dataset, dataset_name="locomo", **{**given, **changed})


def test_it_says_what_changes_the_figures(dataset, tmp_path):
    found = made(dataset)
    assert found["sha256"] == hashlib.sha256(b"[]").hexdigest()
    assert (found["dataset"], found["data_options"]) == ("locomo", {})
    assert found["max_tokens"] == SMALL.retrieval.max_tokens
    assert found["strategy"] == "capacity"
    assert found["encoder"] == SMALL.encoder.asset
    assert found["prices"]["high"] == [0.02886, 0.02886]
    assert set(found["prices"]) == {*SMALL.backbones, "encoder", "tagger"}
    assert json.loads(json.dumps(found)) == found
    assert str(tmp_path) not in json.dumps(found)
    assert made(dataset, max_tokens=99)["max_tokens"] == 99


def test_every_dataset_has_histories_of_its_own(tmp_path):
    folders = [tmp_path / name for name in ("one", "copy")]
    for folder in folders:
        folder.mkdir()
        for name in ("a.jsonl", "b.jsonl", "splits.json"):
            written(folder / name, [paragraphs(name)])
    options = ({"train": "a.jsonl"}, {"train": "b.jsonl"}, {"validation": "a.jsonl"})
    found = {
        tenant_of(open_dataset("hotpotqa", folder, **each), SMALL.encoder)
        for each in options
        for folder in folders
    }
    assert len(found) == 3  # wherever the files lie
    forms = ("longmemeval-s", "longmemeval-oracle")
    files = {"path": folders[0] / "a.jsonl", "split_file": folders[0] / "splits.json"}
    assert len({tenant_of(open_dataset(name, **files), SMALL.encoder) for name in forms}) == 2


def test_every_encoder_has_histories_of_its_own(dataset, monkeypatch):
    def tenant(**changed):
        return tenant_of(dataset, SMALL.encoder.model_copy(update=changed))

    usual = tenant()
    assert tenant(price=FREE) == usual
    assert len({usual, tenant(asset="another"), tenant(max_tokens=99)}) == 3
    monkeypatch.setattr(setting, "_recipes", lambda: {SMALL.encoder.asset: "of other weights"})
    assert tenant() != usual


def swapped(field, value):
    return SMALL.model_copy(update={field: value})


def backbone(**update):
    high = SMALL.backbones["high"].model_copy(update=update)
    return swapped("backbones", {**SMALL.backbones, "high": high})


def part(name, **update):
    return swapped(name, getattr(SMALL, name).model_copy(update=update))


FREE = SMALL.encoder.price.model_copy(update={"output": 1.0})
OTHER = {
    "tiers": swapped("tiers", {**SMALL.tiers, "low": "mid"}),
    "answerer": swapped("answerer", "low"),
    "backbones": backbone(asset="smollm2-135m"),
    "engines": backbone(engine="transformers"),
    "templates": backbone(template="{prompt}"),
    "contexts": backbone(context=99),
    "prices": backbone(price=FREE),
    "encoder": part("encoder", asset="another"),
    "encoder_max_tokens": part("encoder", max_tokens=99),
    "tagger": part("tagger", asset="another"),
    "generation": part("generation", answer=99),
    "retrieval": part("retrieval", ranking="dense"),
}


@pytest.mark.parametrize("name", OTHER)
def test_of_a_profile_it_has_what_replies_and_costs_depend_on(name):
    assert of_profile(OTHER[name])[name] != of_profile(SMALL)[name]


def test_what_replies_do_not_depend_on_is_not_in_it():
    faster = SMALL.scheduling.model_copy(update={"requests": 99})
    assert of_profile(swapped("scheduling", faster)) == of_profile(SMALL)
    # The budget of a recording may be another than the profile's.
    assert of_profile(part("retrieval", max_tokens=99)) == of_profile(SMALL)


def test_weights_are_told_by_what_they_are_made_of(monkeypatch):
    before = of_profile(SMALL)["weights"]
    assert set(before) == set(SMALL.assets)
    assert all(len(each) == 16 for each in before.values())
    monkeypatch.setattr(setting, "_recipes", lambda: {})
    assert of_profile(SMALL)["weights"] == dict.fromkeys(SMALL.assets)


def test_an_identity_has_the_recipe_where_the_catalogue_has_one():
    assert identity("smollm2-135m") == f"smollm2-135m@{recipe('smollm2-135m')}"
    assert identity("my own") == "my own"


@pytest.mark.parametrize("ranking", ["dense", "fused"])
def test_a_profile_that_embeds_queries(ranking):
    check_embeds_queries(part("retrieval", ranking=ranking))


def test_one_that_does_not_is_refused():
    with pytest.raises(ConfigError, match="small: with the ranking 'keyword' no query is embedded"):
        check_embeds_queries(part("retrieval", ranking="keyword"))
