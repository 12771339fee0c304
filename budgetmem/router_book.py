"""The router of each strategy, exchanged while requests run."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path

import numpy as np

from budgetmem.config import Profile
from budgetmem.errors import BudgetMemError, ConfigError
from budgetmem.features import State
from budgetmem.info import CostWeights, Frontier
from budgetmem.policy_router import PolicyRouter
from budgetmem.router import Decision, Router
from budgetmem.router_artifact import RouterCard, check_for, load
from budgetmem.stages import STAGES
from budgetmem.tiers import STRATEGIES, Tier
from budgetmem.types import Choice, Chunk, Workspace

log = logging.getLogger(__name__)

CANARY_STATES = 4
CANARY_CHUNKS = 3


class RouterBook:
    """A trained router for some strategies, `default` for the others; for one event loop.

    A router that was exchanged stays with the requests that have it, and goes with the last of
    them: nothing waits for them, and no request ever finds its router closed.
    """

    def __init__(self, default: Router) -> None:
        self._default = default
        self._trained: Mapping[str, PolicyRouter] = {}

    def of(self, strategy: str) -> Router:
        """The router of a strategy at this moment."""
        return self._trained.get(strategy, self._default)

    def versions(self) -> Mapping[str, str]:
        """The version of every strategy's router at this moment."""
        return {strategy: self.of(strategy).version for strategy in STRATEGIES}

    def cost_weights(self) -> Mapping[str, CostWeights]:
        """Those that each trained router was trained for, by its strategy, at this moment."""
        return {strategy: router.cost_weights for strategy, router in self._trained.items()}

    def frontiers(self) -> Mapping[str, Frontier]:
        """What each trained router came to in its training, if it tells, by its strategy."""
        found = {strategy: router.frontier for strategy, router in self._trained.items()}
        return {strategy: each for strategy, each in found.items() if each is not None}

    def install(self, routers: Iterable[PolicyRouter]) -> None:
        """Puts routers that `prepare` gave in place for their strategies, all in one step."""
        fresh = {router.strategy: router for router in routers}
        for strategy, router in fresh.items():
            old = self.of(strategy).version
            log.info("router of %s: %s, was %s", strategy, router.version, old)
        self._trained = {**self._trained, **fresh}

    async def close(self) -> None:
        """Closes the trained routers that are in place: they refuse further decisions.

        Requests that still have an exchanged one must have ended.
        """
        await asyncio.gather(*(router.close() for router in self._trained.values()))


async def prepare(
    folder: Path, profile: Profile, *, executor: Executor, sample: bool = False, seed: int = 0
) -> PolicyRouter:
    """The router in `folder`, read once; nothing is read again when it is installed.

    It is checked, also against the profile, and makes some random decisions first. Raises
    ConfigError for a router that cannot serve. `executor`, `sample` and `seed` are those of
    PolicyRouter.
    """
    artifact = await asyncio.to_thread(load, folder)
    if warning := await asyncio.to_thread(check_for, artifact, profile):
        log.warning("%s", warning)
    # A router of its own, so that the canary's draws are not taken from the served one's.
    canary = PolicyRouter(artifact, executor=executor, sample=sample, seed=seed)
    await try_out(canary, artifact.card)
    return PolicyRouter(artifact, executor=executor, sample=sample, seed=seed)


async def try_out(router: Router, card: RouterCard) -> None:
    """Lets a router make some random decisions, twice.

    Raises ConfigError if it fails, if probabilities are not finite or do not sum to 1, if it
    chooses a masked tier, or if its probabilities differ the second time.
    """
    decisions = random_decisions(card)
    try:
        first = await router.choose(decisions)
        second = await router.choose(decisions)
    except BudgetMemError as exc:
        raise ConfigError(f"the router {router.version} fails on a trial: {exc}") from exc
    for decision, choice in zip(decisions, first, strict=True):
        _check(router.version, decision, choice)
    if _probabilities(first) != _probabilities(second):
        raise ConfigError(f"the router {router.version} is not deterministic: it cannot serve")


def random_decisions(card: RouterCard) -> list[Decision]:
    """Always the same ones: every module in several states, lambdas over the card's range."""
    random = np.random.default_rng(0)
    states = [_random_state(random, card.encoder.dimension) for _ in range(CANARY_STATES)]
    weights = np.linspace(card.cost_weight.min, card.cost_weight.max, CANARY_STATES)
    return [
        Decision(
            module=module,
            stage=stage,
            state=state,
            cost_weight=float(weight),
            masked={tier: "trial" for tier in Tier if random.random() < 0.25},
        )
        for state, weight in zip(states, weights, strict=True)
        for stage, modules in STAGES.items()
        for module in modules
    ]


def _random_state(random: np.random.Generator, dimension: int) -> State:
    words = ("When", "did", "Ana", "move", "to", "Lisbon", "in", "May", "2023")
    chunks = tuple(
        Chunk(
            id=f"{place}",
            session="1",
            time=None,
            turn_ids=(f"{place}",),
            text=" ".join(random.permutation(words)),
            tokens=int(random.integers(1, 256)),
            score=float(random.random()),
        )
        for place in range(CANARY_CHUNKS)
    )
    vectors = random.standard_normal((CANARY_CHUNKS + 1, dimension)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return State(
        Workspace.start(" ".join(random.permutation(words)), chunks),
        query=vectors[0],
        vectors={chunk.id: vector for chunk, vector in zip(chunks, vectors[1:], strict=True)},
    )


def _check(version: str, decision: Decision, choice: Choice) -> None:
    total = sum(choice.probabilities)
    if not np.isfinite(choice.probabilities).all() or abs(total - 1) > 1e-5:
        raise ConfigError(
            f"the router {version} gives {choice.probabilities} for {decision.module}: no "
            "probabilities"
        )
    if choice.tier in decision.masked and len(decision.masked) < len(Tier):
        raise ConfigError(f"the router {version} chooses a masked tier for {decision.module}")


def _probabilities(choices: Sequence[Choice]) -> list[tuple[float, float, float]]:
    return [choice.probabilities for choice in choices]
