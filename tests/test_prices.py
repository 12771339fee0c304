import pytest

from budgetmem.config import bundled_profiles, load_profile
from budgetmem.errors import ConfigError
from budgetmem.prices import PriceBook


def test_cost_is_per_million_tokens():
    book = PriceBook.of(load_profile("gpu"))
    assert book.cost("high", 1_000_000, 500_000) == pytest.approx(0.88 * 1.5)


def test_a_model_without_a_price_is_an_error():
    with pytest.raises(ConfigError, match="'gpt-9' has no price"):
        PriceBook.of(load_profile("gpu")).cost("gpt-9", 1)


@pytest.mark.parametrize("name", bundled_profiles())
def test_every_model_of_every_profile_has_a_price(name: str):
    profile = load_profile(name)
    book = PriceBook.of(profile)
    models = [*profile.backbones, profile.encoder.asset, profile.tagger.asset]
    assert all(book.cost(model, 1000) > 0 for model in models)
