"""Triton model configs of a profile's models, by its protobuf and never by editing text."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig, ModelInstanceGroup

from budgetmem.config import BackboneProfile, EncoderProfile
from budgetmem.errors import ConfigError

Kind = ModelInstanceGroup.Kind
Value = str | int | float | bool

ENCODER_BATCH = 64
PREFERRED_BATCHES = (16, 32, ENCODER_BATCH)
ENCODER_QUEUE_DELAY_US = 500


def read_config(file: Path) -> ModelConfig:
    """The ModelConfig in a config.pbtxt. Raises ConfigError where it is none."""
    try:
        return text_format.Parse(file.read_text(encoding="utf-8"), ModelConfig())
    except text_format.ParseError as exc:
        raise ConfigError(f"{file} is no Triton model config: {exc}") from exc


def write_config(config: ModelConfig, file: Path) -> None:
    """Writes a config.pbtxt, and reads it again to be sure. Raises ConfigError if it differs."""
    file.write_text(text_format.MessageToString(config), encoding="utf-8")
    if read_config(file) != config:
        raise ConfigError(f"{file} does not read as it was written")


def python_config(
    bundled: ModelConfig, parameters: Mapping[str, Value], instances: int, gpus: Sequence[int]
) -> ModelConfig:
    """A bundled Python model's config with this profile's parameters and instances."""
    config = ModelConfig()
    config.CopyFrom(bundled)
    for name, value in parameters.items():
        config.parameters[name].string_value = parameter_text(value)
    group = config.instance_group[0] if config.instance_group else config.instance_group.add()
    group.count = instances
    if gpus:
        group.kind = Kind.KIND_GPU
        group.gpus[:] = gpus
    return config


def vllm_config(profile: BackboneProfile) -> ModelConfig:
    """A config for the vLLM backend, which completes inputs and outputs by itself.

    KIND_GPU is for one GPU an instance; for several the backend wants KIND_MODEL, and takes the
    GPU ids from the parameter GPU_DEVICE_IDS (backends older than 2026 ignore it: set
    CUDA_VISIBLE_DEVICES there). Raises ConfigError where the number of GPUs does not fit.
    """
    world = world_size(profile)
    if world > 1 and profile.gpus and len(profile.gpus) != world:
        raise ConfigError(
            f"{profile.triton_model}: {world} GPUs by its parallel sizes, but `gpus` lists "
            f"{len(profile.gpus)}"
        )
    config = ModelConfig(name=profile.triton_model, backend="vllm")
    on_one_gpu = bool(profile.gpus) and world == 1
    kind = Kind.KIND_GPU if on_one_gpu else Kind.KIND_MODEL
    gpus = profile.gpus if on_one_gpu else ()
    config.instance_group.add(count=profile.instances, kind=kind, gpus=gpus)
    if profile.gpus and not on_one_gpu:
        config.parameters["GPU_DEVICE_IDS"].string_value = ",".join(map(str, profile.gpus))
    return config


def vllm_engine(profile: BackboneProfile) -> dict[str, Any]:
    """`model.json`: vLLM's AsyncEngineArgs; what the profile says wins."""
    return {
        "model": profile.hub,
        "max_model_len": profile.context,
        "tensor_parallel_size": 1,
        "enable_prefix_caching": True,
        "disable_log_stats": True,
        **profile.engine_options,
    }


def world_size(profile: BackboneProfile) -> int:
    """GPUs that one instance of vLLM spans."""
    options = profile.engine_options
    sizes = (options.get(f"{axis}_parallel_size", 1) for axis in ("tensor", "pipeline"))
    tensor, pipeline = (int(size) for size in sizes)
    return tensor * pipeline


def onnxruntime_config(profile: EncoderProfile, bundled: ModelConfig) -> ModelConfig:
    """A config for Triton's ONNX Runtime backend, of the tensors of the bundled encoder.

    There the batch axis is a dimension of its own; here Triton knows it as the batch.
    """
    config = ModelConfig(
        name=profile.triton_model,
        platform="onnxruntime_onnx",
        backend="onnxruntime",
        max_batch_size=ENCODER_BATCH,
    )
    for tensor in bundled.input:
        config.input.add(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims[1:])
    for tensor in bundled.output:
        config.output.add(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims[1:])
    config.dynamic_batching.preferred_batch_size[:] = PREFERRED_BATCHES
    config.dynamic_batching.max_queue_delay_microseconds = ENCODER_QUEUE_DELAY_US
    kind = Kind.KIND_GPU if profile.gpus else Kind.KIND_CPU
    config.instance_group.add(count=profile.instances, kind=kind, gpus=profile.gpus)
    return config


def parameter_text(value: Value) -> str:
    """Triton's parameters are strings: booleans and numbers as JSON writes them."""
    return value if isinstance(value, str) else json.dumps(value)
