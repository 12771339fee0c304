from pathlib import Path

import pytest

from budgetmem.config import bundled_profiles, load_profile
from budgetmem.errors import ConfigError


def test_bundled_profiles():
    assert bundled_profiles() == ("gpu", "small", "tiny")


def edited(tmp_path: Path, old: str, new: str) -> str:
    source = Path(__file__).parents[1] / "budgetmem" / "profiles" / "small.toml"
    text = source.read_text()
    assert old in text
    path = tmp_path / "mine.toml"
    path.write_text(text.replace(old, new))
    return str(path)


def test_ones_own_profile(tmp_path: Path):
    profile = load_profile(edited(tmp_path, 'name = "small"', 'name = "mine"'))
    assert profile.name == "mine"
    assert "qwen2.5-coder-1.5b" in profile.assets


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('answerer = "high"', 'answerer = "huge"', "answerer = 'huge' is not one of `backbones`"),
        ('mid = "mid"', "", "`tiers` lacks mid"),
        ("context = 8192", "context = 0", "backbones.low.context"),
        ("context = 8192", "contxt = 8192", "backbones.low.contxt: Extra inputs"),
        ('asset = "smollm2-135m"', "", "needs a catalogue name in `asset`"),
        ("{prompt}", "prompt", "must contain {prompt}"),
        ("credits = 32", "credits = 0", "backbones.low.credits"),
        ("[encoder]", "[encoder]\nbatch_items = 0", "encoder.batch_items"),
        ("[encoder]", "[encoder]\nbatch_tokens = -1", "encoder.batch_tokens"),
        ("[tagger]", "[tagger]\ncredits = 0", "tagger.credits"),
        ("[tagger]", "[scheduling]\nquantum = 0\n[tagger]", "scheduling.quantum"),
        ("[tagger]", "[scheduling]\nage_cap_s = 0\n[tagger]", "scheduling.age_cap_s"),
        ("[tagger]", "[scheduling]\nqueue_capacity = 0\n[tagger]", "scheduling.queue_capacity"),
        ("[backbones.low]", "[backbones.encoder]", "`backbones` may not have an entry 'encoder'"),
        ("[tiers]", "[tiers", "not valid TOML"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, old: str, new: str, message: str):
    with pytest.raises(ConfigError) as caught:
        load_profile(edited(tmp_path, old, new))
    assert message in str(caught.value)


def test_unknown_profiles(tmp_path: Path):
    with pytest.raises(ConfigError, match="use one of gpu, small, tiny"):
        load_profile("huge")
    with pytest.raises(ConfigError, match=r"'missing\.toml': there is no such file"):
        load_profile("missing.toml")
    (tmp_path / "old.toml").write_bytes("about = 'naïve'".encode("latin-1"))
    with pytest.raises(ConfigError, match="UTF-8"):
        load_profile(str(tmp_path / "old.toml"))
