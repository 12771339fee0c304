"""Seconds of a GPU that a question takes, and so questions that a GPU carries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.capacity.hardware import H100, Efficiency, Gpu, Model
from benchmarks.capacity.workload import Call

CREDITS = 256
"""Requests in flight at most, of the profile `gpu`; vLLM's default `max_num_seqs`."""


@dataclass(frozen=True)
class Device:
    """One copy of a model on its GPUs."""

    model: Model
    efficiency: Efficiency
    gpu: Gpu = H100

    @property
    def _parallel(self) -> float:
        return self.efficiency.parallel if self.model.gpus > 1 else 1.0

    @property
    def flops(self) -> float:
        """That are reached, of all GPUs together."""
        return self.gpu.flops * self.model.gpus * self.efficiency.compute * self._parallel

    @property
    def bandwidth(self) -> float:
        """As `flops`, in bytes a second."""
        return self.gpu.bandwidth * self.model.gpus * self.efficiency.bandwidth * self._parallel

    @property
    def kv_memory(self) -> float:
        """Bytes for the KV cache. Raises ValueError for a model that does not fit."""
        left = self.gpu.memory * self.model.gpus * self.efficiency.memory - self.model.weight_bytes
        if left <= 0:
            raise ValueError(f"{self.model.name} does not fit on {self.model.gpus} {self.gpu.name}")
        return left

    def sequences(self, call: Call) -> int:
        """Calls like this one that are written side by side."""
        return min(CREDITS, int(self.kv_memory / (self.model.kv_bytes * call.context)))

    def read_seconds(self, call: Call) -> float:
        """Of this device, for a prompt: reading is bound by arithmetic."""
        return call.read * self.model.token_flops / self.flops

    def write_seconds(self, call: Call) -> float:
        """Of this device, for a reply among a full batch of the same: a step moves the weights
        once, and every sequence's KV cache; or is bound by arithmetic, if that takes longer."""
        batch = self.sequences(call)
        moved = self.model.weight_bytes + batch * self.model.kv_bytes * call.context
        computed = batch * self.model.token_flops
        step = max(moved / self.bandwidth, computed / self.flops)
        return call.reply * step / batch

    def gpu_seconds(self, calls: Sequence[Call]) -> float:
        """Of all GPUs together, for these calls. Reading and writing are added: an engine that
        overlaps them does better."""
        seconds = sum(self.read_seconds(call) + self.write_seconds(call) for call in calls)
        return seconds * self.model.gpus

    def alone_tokens_per_second(self, call: Call) -> float:
        """How fast one reply is written where nothing else is."""
        return self.bandwidth / (self.model.weight_bytes + self.model.kv_bytes * call.context)


def mixed_gpu_seconds(
    devices: Mapping[str, Device], shares: Mapping[str, float], calls: Sequence[Call]
) -> float:
    """Of a question whose calls go to the devices by these shares."""
    return sum(share * devices[name].gpu_seconds(calls) for name, share in shares.items())
