"""GPUs and models, as their makers state them, and how much of that an engine gets to use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

BF16_BYTES = 2


@dataclass(frozen=True)
class Gpu:
    """`flops` are those of dense BF16 a second; `memory` and `bandwidth` bytes, and a second."""

    name: str
    flops: float
    bandwidth: float
    memory: float
    source: str


@dataclass(frozen=True)
class Model:
    """A decoder with grouped-query attention, in BF16, and how many GPUs hold one copy of it."""

    name: str
    parameters: float
    layers: int
    kv_heads: int
    head_dimension: int
    gpus: int
    source: str

    @property
    def weight_bytes(self) -> float:
        """Of one copy."""
        return self.parameters * BF16_BYTES

    @property
    def kv_bytes(self) -> int:
        """Of one token in the KV cache: a key and a value for every layer and KV head."""
        return 2 * self.layers * self.kv_heads * self.head_dimension * BF16_BYTES

    @property
    def token_flops(self) -> float:
        """Of one token: a multiplication and an addition a parameter. Attention over some 1,500
        tokens adds a few per cent, and is left out."""
        return 2 * self.parameters


@dataclass(frozen=True)
class Efficiency:
    """The share of a GPU's peak that an engine reaches.

    `compute` is the model FLOPS utilisation while prompts are read, `bandwidth` that of memory
    while replies are written. `parallel` is what is left of either when a model is spread over
    several GPUs, which have to exchange. `memory` is the part of a GPU's memory that is given to
    weights and the KV cache.
    """

    compute: float
    bandwidth: float
    parallel: float
    memory: float = 0.9
    """vLLM's default `gpu_memory_utilization`."""


H100 = Gpu(
    "H100 SXM",
    flops=989e12,
    bandwidth=3.35e12,
    memory=80e9,
    source="NVIDIA's H100 data sheet: 3.35 TB/s, 80 GB; 1,979 TFLOPS with sparsity, half without",
)

MODELS: Mapping[str, Model] = {
    "low": Model(
        "Llama 3.2 3B", 3.21e9, 28, 8, 128, 1, "config.json of meta-llama/Llama-3.2-3B-Instruct"
    ),
    "mid": Model(
        "Llama 3.1 8B", 8.03e9, 32, 8, 128, 1, "config.json of meta-llama/Llama-3.1-8B-Instruct"
    ),
    "high": Model(
        "Llama 3.3 70B", 70.6e9, 80, 8, 128, 4, "config.json of meta-llama/Llama-3.3-70B-Instruct"
    ),
}
"""The backbones of the profile `gpu`, by its keys."""

CAUTIOUS = Efficiency(compute=0.30, bandwidth=0.45, parallel=0.70)
HOPEFUL = Efficiency(compute=0.55, bandwidth=0.75, parallel=0.85)
"""Guesses, not measurements: what serving engines are commonly said to reach with short prompts, at
the two ends. Set them by a measurement of yours."""
