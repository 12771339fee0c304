import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from budgetmem.errors import InvalidInput
from training.actor_critic import ActorCritic, summary_state
from training.policies import Observation

VECTORS = Path(__file__).parents[2].parent / "shared" / "vectors"
REFERENCE = VECTORS / "ppo.json"
MODULES = ("m1", "m2", "m3", "m5", "m4")

needs_reference = pytest.mark.skipif(not REFERENCE.exists(), reason="../shared/vectors is not here")


def reference() -> dict:
    return json.loads(REFERENCE.read_text())


def reference_network(moment: str = "before") -> ActorCritic:
    policy = ActorCritic(query=16, state=16, description=16, hidden=32, projection=32)
    policy.load_reference(reference_weights(moment))
    return policy


def reference_weights(moment: str) -> dict[str, Tensor]:
    weights = json.loads((VECTORS / f"ppo_weights_{moment}.json").read_text())
    return {
        name: torch.tensor(each["data"]).reshape(each["shape"]) for name, each in weights.items()
    }


def reference_seen(inputs: dict) -> Observation:
    of = {name: torch.tensor(rows) for name, rows in inputs.items()}
    kept = of["filtered_memory_emb"]
    states = (of["initial_memory_emb"], kept, kept, kept, of["aggregated_memory_emb"])
    return Observation(
        query=of["query_emb"].repeat(5, 1),
        state=torch.cat(states),
        features=torch.zeros(40, 0),
        module=torch.arange(5).repeat_interleave(8),
        cost_weight=torch.zeros(40),
    )


def by_module(figures: dict) -> Tensor:
    return torch.stack([torch.tensor(figures[module]) for module in MODULES])


def assert_near(given: Tensor, expected: object, tolerance: float = 1e-5) -> None:
    torch.testing.assert_close(given, torch.as_tensor(expected), atol=tolerance, rtol=0)


@pytest.mark.shared
@needs_reference
def test_parity_of_the_forward_pass():
    figures = reference()
    forward, seen = figures["forward"], reference_seen(figures["inputs"])
    policy = reference_network()
    with torch.no_grad():
        logits, values = policy.evaluate(seen)
        features = policy.features(seen.query, seen.state, seen.module)
        exported = policy(seen.query, seen.state, seen.features, seen.module, seen.cost_weight)
    assert torch.equal(exported, logits)
    logits = logits.view(5, 8, 3)
    assert_near(logits, by_module(forward["logits"]))
    assert_near(values[:8], forward["value"])
    assert_near(features[:8], forward["module1_features"])

    distribution = torch.distributions.Categorical(logits=logits)
    given = torch.tensor(forward["given_actions_m1_m2_m3_m5_m4"]).T
    assert_near(distribution.log_prob(given), by_module(forward["log_prob_of_given"]))
    assert_near(distribution.entropy().mean(0), forward["entropy_mean_of_5"])
    greedy = logits.argmax(2)
    assert torch.equal(greedy, by_module(forward["deterministic_actions"]))
    assert_near(distribution.log_prob(greedy), by_module(forward["deterministic_log_prob"]))


@pytest.mark.shared
@needs_reference
def test_parity_of_the_state_of_summary():
    figures = reference()
    inputs, fallback = figures["inputs"], figures["aggregated_fallback"]
    names = {"e": "entity_emb", "t": "temporal_emb", "p": "topic_emb"}
    found = torch.stack([torch.tensor(inputs[name]) for name in names.values()])
    for row, dropped in enumerate(fallback["dropped"]):
        for place, letter in enumerate(names):
            if letter in dropped.lower():
                found[place, row] = 0
    kept = torch.tensor(inputs["filtered_memory_emb"])
    assert_near(summary_state(found, kept), fallback["aggregated_memory_embs"])


@pytest.mark.shared
@needs_reference
def test_parity_of_the_descriptions():
    for case in reference()["description_encoder"]:
        policy = ActorCritic(query=16, state=16, description=16, hidden=32, projection=32)
        policy.describe(torch.tensor(case["encoder_rows"]))
        expected = case["module_desc_embeddings"]
        rows = [expected[name.replace("m", "module")] for name in MODULES]
        assert_near(policy.descriptions.detach(), torch.tensor(rows))


def test_starts_as_the_paper_does():
    torch.manual_seed(0)
    policy = ActorCritic(query=16, state=16, description=16, hidden=32, projection=32)
    weight = policy.encoder[0].weight
    assert_near(weight @ weight.T, 2 * torch.eye(32))
    assert policy.critic[-1].weight.norm().item() == pytest.approx(0.01)
    assert policy.descriptions.std().item() == pytest.approx(0.01, rel=0.3)
    assert all(not bias.any() for name, bias in policy.named_parameters() if "bias" in name)


def test_refuses_what_does_not_fit():
    policy = ActorCritic(query=4, state=4, description=4, hidden=8, projection=8)
    names = [f"module_desc_embeddings.module{number}" for number in range(1, 6)]
    with pytest.raises(InvalidInput, match="module3"):
        policy.load_reference({name: torch.zeros(4) for name in names if "3" not in name})
    with pytest.raises(InvalidInput, match="do not fit"):
        policy.load_reference({name: torch.zeros(4) for name in names})
    with pytest.raises(InvalidInput, match="one for each module"):
        policy.describe(torch.zeros(4, 4))
