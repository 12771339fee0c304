"""The paper's router: one actor-critic for all modules, on embeddings alone, at a fixed lambda.

Sizes, activations and initial weights are those of arXiv 2602.06025 and its reference
implementation, whose weights it loads. It is here for the parity tests: train.py does not train it.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from budgetmem.errors import InvalidInput
from budgetmem.modules import MODULES
from budgetmem.tiers import Tier
from training.policies import Observation

_REFERENCE_LAYERS = {
    "shared_proj": "project",
    "module_desc_proj": "project_description",
    "shared_encoder": "encoder",
    "action_head": "actor",
    "value_head": "critic",
}
_REFERENCE_DESCRIPTIONS = tuple(f"module_desc_embeddings.module{n}" for n in (1, 2, 3, 5, 4))
"""Of MODULES, in our order: the reference runs its fifth module before its fourth."""


class ActorCritic(nn.Module):
    """The paper's policy and value networks on a shared encoder.

    A decision is seen as the embeddings of the query [n, query] and of the state [n, state], and
    as a trained vector [description] of its module. It has the interface of ConditionedPolicy, but
    neither features nor lambda change what it says.
    """

    def __init__(
        self, query: int, state: int, description: int, hidden: int = 256, projection: int = 256
    ) -> None:
        super().__init__()
        self.project = nn.Linear(query + state, projection)
        self.project_description = nn.Linear(description, projection)
        self.encoder = nn.Sequential(
            nn.Linear(2 * projection, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU()
        )
        self.actor = _head(hidden, len(Tier))
        self.critic = _head(hidden, 1)
        self.descriptions = nn.Parameter(0.01 * torch.randn(len(MODULES), description))
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                nn.init.orthogonal_(layer.weight, 2**0.5)
                nn.init.zeros_(layer.bias)
        last = self.critic[-1]
        assert isinstance(last, nn.Linear)
        nn.init.orthogonal_(last.weight, 0.01)

    def describe(self, embeddings: Tensor) -> None:
        """Starts from the embeddings [modules, d] of the sentences that describe MODULES.

        They are cut, or filled up with zeros, to the size of a description. Raises InvalidInput
        unless there is one for each module.
        """
        if embeddings.ndim != 2 or len(embeddings) != len(MODULES):
            raise InvalidInput("embeddings", f"must be [{len(MODULES)}, d]: one for each module")
        missing = self.descriptions.shape[1] - embeddings.shape[1]
        with torch.no_grad():
            # A negative padding cuts.
            self.descriptions.copy_(nn.functional.pad(embeddings, (0, missing)))

    def load_reference(self, weights: Mapping[str, Tensor]) -> None:
        """Takes the weights of the reference implementation, under the names that it gives them.

        Raises InvalidInput if some are missing, unknown or of other sizes.
        """
        if missing := sorted(set(_REFERENCE_DESCRIPTIONS) - set(weights)):
            raise InvalidInput("weights", f"lack {', '.join(missing)}")
        ours = {"descriptions": torch.stack([weights[name] for name in _REFERENCE_DESCRIPTIONS])}
        for name in weights.keys() - set(_REFERENCE_DESCRIPTIONS):
            layer, _, rest = name.partition(".")
            ours[f"{_REFERENCE_LAYERS.get(layer, layer)}.{rest}"] = weights[name]
        try:
            self.load_state_dict(ours)
        except RuntimeError as exc:
            raise InvalidInput("weights", f"do not fit this network: {exc}") from exc

    def features(self, query: Tensor, state: Tensor, module: Tensor) -> Tensor:
        """What both heads read, float32 [n, hidden]."""
        seen = self.project(torch.cat([query, state], 1))
        described = self.project_description(self.descriptions)[module]
        encoded: Tensor = self.encoder(torch.cat([seen, described], 1))
        return encoded

    def forward(
        self, query: Tensor, state: Tensor, features: Tensor, module: Tensor, cost_weight: Tensor
    ) -> Tensor:
        """Logits, float32 [n, tiers]. `features` and `cost_weight` are not read."""
        logits: Tensor = self.actor(self.features(query, state, module))
        return logits

    def evaluate(self, seen: Observation) -> tuple[Tensor, Tensor]:
        """Logits [n, tiers] and values [n]; the paper uses the values of the filter alone."""
        encoded = self.features(seen.query, seen.state, seen.module)
        return self.actor(encoded), self.critic(encoded).squeeze(1)


def summary_state(found: Tensor, kept: Tensor) -> Tensor:
    """The paper's state of Summary, [n, d]: the mean of the findings' embeddings.

    `found` is [modules, n, d], where a row of zeros says that a module found nothing; where none
    found anything it is `kept` [n, d], the mean embedding of the kept chunks.
    """
    count = (found != 0).any(2).sum(0).unsqueeze(1)
    return torch.where(count > 0, found.sum(0) / count.clamp(min=1), kept)


def _head(hidden: int, out: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(hidden, hidden // 2), nn.ReLU(), nn.Linear(hidden // 2, out))
