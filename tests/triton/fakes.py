"""A fake of `budgetmem.triton.channel.Channel`: it answers from functions, and keeps the calls."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from budgetmem.errors import BackboneError
from budgetmem.triton.channel import ModelContract, ServerInfo


@dataclass
class FakeChannel:
    url: str = "fake:1"
    answer: Callable[[Mapping[str, np.ndarray]], np.ndarray] | None = None
    responses: tuple[Mapping[str, np.ndarray], ...] = ()
    contracts: Mapping[str, ModelContract] = field(default_factory=dict)
    calls: list[Mapping[str, np.ndarray]] = field(default_factory=list)
    closed: bool = False

    async def infer(self, model: str, inputs: Mapping[str, Any], output: str) -> np.ndarray:
        self.calls.append(inputs)
        assert self.answer is not None
        return self.answer(inputs)

    async def stream(
        self, model: str, inputs: Mapping[str, Any], outputs: frozenset[str]
    ) -> AsyncIterator[Mapping[str, np.ndarray]]:
        self.calls.append(inputs)
        for response in self.responses:
            yield response

    async def contract(self, model: str) -> ModelContract:
        if model not in self.contracts:
            raise BackboneError(f"{model} is not there")
        return self.contracts[model]

    async def server_info(self) -> ServerInfo:
        return ServerInfo("fake", "0", ())

    async def close(self) -> None:
        self.closed = True
