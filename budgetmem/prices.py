"""What tokens cost. A model without a price is an error, never free."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from budgetmem.config import Price, Profile
from budgetmem.errors import ConfigError


@dataclass(frozen=True)
class PriceBook:
    """Prices by model name: the backbones' profile keys, the assets of encoder and tagger."""

    prices: Mapping[str, Price]

    @classmethod
    def of(cls, profile: Profile) -> PriceBook:
        """The prices of every model in a profile."""
        models = {key: backbone.price for key, backbone in profile.backbones.items()}
        models[profile.encoder.asset] = profile.encoder.price
        models[profile.tagger.asset] = profile.tagger.price
        return cls(models)

    def cost(
        self, model: str, input_tokens: int, output_tokens: int = 0, cached_tokens: int = 0
    ) -> float:
        """USD of one call; `cached_tokens` are those of the input that the engine had read before.

        Raises ConfigError if the model has no price.
        """
        price = self.prices.get(model)
        if price is None:
            raise ConfigError(f"model {model!r} has no price: add one to the profile")
        cost = input_tokens * price.input + output_tokens * price.output
        if price.cached is not None:
            cost -= min(cached_tokens, input_tokens) * (price.input - price.cached)
        return cost / 1e6
