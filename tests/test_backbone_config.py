"""Endpoints in profiles: one table beside those of Triton's models."""

from pathlib import Path

import pytest

from budgetmem.backbone_config import Price
from budgetmem.config import EndpointProfile, load_profile
from budgetmem.errors import ConfigError

TINY = Path(__file__).parents[1] / "budgetmem" / "profiles" / "tiny.toml"
ENDPOINT = """
[backbones.hosted]
kind = "openai"
base_url = "https://llm.example/v1/"
model = "tiny-chat"
api_key_env = "LLM_KEY"
tokenizer = "tokenizer.json"
context = 4096
price = { input = 1.0, output = 2.0, cached = 0.1, source = "a price list" }
speed = { prefill = 5000, decode = 80 }
"""


def written(folder: Path, old: str = "", new: str = "") -> str:
    """A profile whose High is an endpoint, with `old` replaced."""
    text = TINY.read_text().replace('high = "all"', 'high = "hosted"') + ENDPOINT
    assert old in text
    path = folder / "mine.toml"
    path.write_text(text.replace(old, new))
    return str(path)


def test_tiers_are_filled_by_triton_and_by_endpoints(tmp_path):
    profile = load_profile(written(tmp_path))
    assert (list(profile.on_triton), list(profile.endpoints)) == (["all"], ["hosted"])
    assert profile.tiers == {"low": "all", "mid": "all", "high": "hosted"}
    assert profile.assets == load_profile("tiny").assets
    hosted = profile.backbones["hosted"]
    assert isinstance(hosted, EndpointProfile)
    assert (hosted.base_url, hosted.engine) == ("https://llm.example/v1", "openai")
    assert (hosted.weights, hosted.template) == ("tiny-chat", "{prompt}")


def test_a_tokenizer_is_looked_for_beside_its_profile(tmp_path):
    hosted = load_profile(written(tmp_path)).endpoints["hosted"]
    assert hosted.tokenizer == str(tmp_path / "tokenizer.json")


@pytest.mark.parametrize("name", ["tiny", "small", "gpu"])
def test_backbones_without_a_kind_are_tritons(name):
    profile = load_profile(name)
    assert profile.on_triton == profile.backbones
    assert not profile.endpoints


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"openai"', '"ollama"', "backbones.hosted: `kind` must be 'triton' or 'openai'"),
        ("https://llm.example/v1/", "llm.example", "backbones.hosted.base_url"),
        ("llm.example", "llm.example:99999", "backbones.hosted.base_url: Value error, Port"),
        ("https://llm.example", "https://me:secret@llm.example", "a key belongs in `api_key_env`"),
        ("example/v1/", "example/v1?key=secret", "a key belongs in `api_key_env`"),
        ("https://", "http://", "a key goes over https:// alone"),
        ('"LLM_KEY"', '"sk-0123 4567"', "backbones.hosted.api_key_env"),
        ("context = 4096", "contxt = 4096", "backbones.hosted.contxt: Extra inputs"),
        ("price = { input = 1.0", "x = { input = 1.0", "backbones.hosted.price: Field required"),
        ("cached = 0.1", "cached = 1.1", "`cached` may not be more than `input`"),
        ("context = 4096", "context = 4096\nbody = { n = 2 }", "may not set n"),
        ('tokenizer = "tokenizer.json"', 'usage = "counted"', "needs a `tokenizer`"),
        ("context = 4096", "context = 4096\nasset = 'x'", "backbones.hosted.asset: Extra inputs"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, old, new, message):
    with pytest.raises(ConfigError) as caught:
        load_profile(written(tmp_path, old, new))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:8000/v1", "http://localhost/v1", "http://[::1]:80/v1"]
)
def test_a_key_may_go_to_this_machine_in_the_clear(tmp_path, address):
    profile = load_profile(written(tmp_path, "https://llm.example/v1/", address))
    assert profile.endpoints["hosted"].base_url == address


def test_a_key_may_go_elsewhere_in_the_clear_if_that_is_said(tmp_path):
    changed = 'insecure = true\nbase_url = "http://'
    assert load_profile(written(tmp_path, 'base_url = "https://', changed)).endpoints["hosted"]


def test_replies_of_other_servers_and_settings_are_other_replies():
    def identity(**changes):
        table = {
            "kind": "openai",
            "base_url": "https://a.example/v1",
            "model": "m",
            "context": 10,
            "price": Price(input=1, output=1, source="t"),
            "speed": {"prefill": 1, "decode": 1},
        }
        return EndpointProfile.model_validate({**table, **changes}).identity

    changes = [
        {},
        {"base_url": "https://b.example/v1"},
        {"model": "n"},
        {"seed": 1},
        {"replies": "prompt"},
        {"body": {"top_k": 1}},
    ]
    assert len({identity(**each) for each in changes}) == len(changes)
    assert identity(credits=3, logprobs=False) == identity()
