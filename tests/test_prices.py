import json
from pathlib import Path

import pytest

from budgetmem.config import Price, bundled_profiles, load_profile
from budgetmem.errors import ConfigError
from budgetmem.prices import PriceBook

VECTORS = Path(__file__).parents[1].parent / "shared" / "vectors" / "calculate_cost.json"

PAPER_PRICES = {
    # USD per million tokens, in and out, as published.
    "meta/llama-3.2-3b-instruct": (0.06, 0.06),
    "meta/llama-3.1-8b-instruct": (0.18, 0.18),
    "meta/llama-3.3-70b-instruct": (0.88, 0.88),
    "openai/gpt-oss-120b": (0.15, 0.60),
    "qwen/qwen3-next-80b-a3b-instruct": (0.15, 1.50),
}


def paper_book():
    return PriceBook(
        {
            model: Price(input=per_input, output=per_output, source="paper")
            for model, (per_input, per_output) in PAPER_PRICES.items()
        }
    )


@pytest.mark.shared
@pytest.mark.skipif(not VECTORS.exists(), reason="../shared/vectors is not here")
def test_parity_with_the_reference_implementation():
    calls = json.loads(VECTORS.read_text())["calculate_cost"]
    priced = [call for call in calls if call["model"] in PAPER_PRICES]
    assert len(priced) == 55
    book = paper_book()
    for call in priced:
        cost = book.cost(call["model"], call["input_tokens"], call["output_tokens"])
        assert cost == pytest.approx(call["cost"], abs=1e-12, rel=0), call


@pytest.mark.shared
@pytest.mark.skipif(not VECTORS.exists(), reason="../shared/vectors is not here")
def test_chosen_difference_a_name_without_a_price_is_never_free():
    # The reference takes names in any case, and every other name as free: unknown ones, the empty
    # one, and those with a space too many. Ours are exact, and the others an error.
    calls = json.loads(VECTORS.read_text())["calculate_cost"]
    others = {call["model"] for call in calls if call["model"] not in PAPER_PRICES}
    assert {"gpt-4o", "", "meta/llama-3.1-8b-instruct "} < others
    for model in others:
        with pytest.raises(ConfigError, match="has no price"):
            paper_book().cost(model, 1000, 1000)


def test_cached_tokens_are_cheaper_where_the_profile_says_so():
    price = Price(input=1.0, output=2.0, cached=0.25, source="a test")
    book = PriceBook({"m": price, "n": price.model_copy(update={"cached": None})})
    assert book.cost("m", 1000, 10, 400) == pytest.approx((600 + 400 * 0.25 + 20) / 1e6)
    assert book.cost("n", 1000, 10, 400) == book.cost("n", 1000, 10)
    assert book.cost("m", 100, 0, 400) == pytest.approx(25 / 1e6)


def test_output_has_a_price_of_its_own():
    assert paper_book().cost("openai/gpt-oss-120b", 0, 1_000_000) == pytest.approx(0.60)


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
