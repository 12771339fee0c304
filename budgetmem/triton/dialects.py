"""The tensors of Triton's official LLM backends: how a prompt is put, and a response read.

`VLLM` is the vLLM backend's contract (its src/model.py and utils/request.py), and that of the
bundled models. `TENSORRT_LLM` is that of the model `ensemble` in the TensorRT-LLM backend's
all_models/inflight_batcher_llm; it is written from NVIDIA's documentation and was not run on a GPU.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from budgetmem.backbone import GenerationRequest
from budgetmem.triton.channel import Array, Tensors, text_tensor
from budgetmem.triton.reading import count_in, number_in, text_in

UNFINISHED = "None"


@dataclass(frozen=True)
class Delta:
    """What one response adds to a reply: its text and its number of tokens; the rest is so far.

    `finish_reason` None: the backend tells none; UNFINISHED: it will.
    """

    text: str
    input_tokens: int
    output_tokens: int
    finish_reason: str | None
    cumulative_logprob: float


@dataclass(frozen=True)
class Dialect:
    """One backend's contract. A model of it has all of `inputs` and `outputs`.

    `delta` raises one of `reading.MALFORMED` for a response that is none of this contract. `ended`
    tells why a reply of so many tokens ended, where the backend does not.
    """

    inputs: frozenset[str]
    outputs: frozenset[str]
    request: Callable[[GenerationRequest], Tensors]
    delta: Callable[[Tensors], Delta]
    ended: Callable[[GenerationRequest, int], str | None]


FLAGS = {
    "stream": True,
    "exclude_input_in_output": True,
    "return_finish_reason": True,
    "return_cumulative_logprob": True,
    "return_num_input_tokens": True,
    "return_num_output_tokens": True,
}
"""Sent with every request: Triton cuts a batch where the set of optional inputs changes."""


def _vllm_request(request: GenerationRequest) -> Tensors:
    flags = {name: np.array([value]) for name, value in FLAGS.items()}
    return {
        "text_input": text_tensor(request.prompt),
        "sampling_parameters": text_tensor(json.dumps(sampling_parameters(request))),
        **flags,
    }


def sampling_parameters(request: GenerationRequest) -> dict[str, Any]:
    """vLLM's SamplingParams; the backend wants `structured_outputs` as JSON inside the JSON.

    `logprobs` 0 means those of the sampled tokens only; without it vLLM sums none up.
    """
    parameters: dict[str, Any] = {
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "stop": list(request.stop),
        "logprobs": 0,
    }
    if request.schema is not None:
        parameters["structured_outputs"] = json.dumps({"json": request.schema})
    return parameters


def _vllm_delta(response: Tensors) -> Delta:
    return Delta(
        text=text_in(response["text_output"]),
        input_tokens=count_in(response["num_input_tokens"]),
        output_tokens=count_in(response["num_output_tokens"]),
        finish_reason=text_in(response["finish_reason"]),
        cumulative_logprob=number_in(response["cumulative_logprob"]),
    )


VLLM = Dialect(
    inputs=frozenset({"text_input", "sampling_parameters", *FLAGS}),
    outputs=frozenset(
        {
            "text_output",
            "finish_reason",
            "cumulative_logprob",
            "num_input_tokens",
            "num_output_tokens",
        }
    ),
    request=_vllm_request,
    delta=_vllm_delta,
    ended=lambda request, tokens: None,
)

TENSORRT_FLAGS = {
    "stream": True,
    "exclude_input_in_output": True,
    "return_log_probs": True,
    "return_num_input_tokens": True,
    "return_num_output_tokens": True,
}
TENSORRT_INPUTS = frozenset(
    {
        "text_input",
        "max_tokens",
        "temperature",
        "top_k",
        "stop_words",
        "guided_decoding_guide_type",
        "guided_decoding_guide",
        *TENSORRT_FLAGS,
    }
)


def _tensorrt_request(request: GenerationRequest) -> Tensors:
    """All with a batch axis. Greedy is the top 1, whatever the temperature: 0 is none there."""
    greedy = request.temperature == 0
    sampling = {
        "max_tokens": np.array([[request.max_tokens]], dtype=np.int32),
        "temperature": np.array([[1.0 if greedy else request.temperature]], dtype=np.float32),
        "top_k": np.array([[1 if greedy else 0]], dtype=np.int32),
    }
    flags = {name: np.array([[value]]) for name, value in TENSORRT_FLAGS.items()}
    tensors: dict[str, Array] = {"text_input": _row(request.prompt), **sampling, **flags}
    if request.stop:
        tensors["stop_words"] = _row(*request.stop)
    if request.schema is not None:
        tensors["guided_decoding_guide_type"] = _row("json_schema")
        tensors["guided_decoding_guide"] = _row(json.dumps(request.schema))
    return tensors


def _tensorrt_delta(response: Tensors) -> Delta:
    return Delta(
        text=text_in(response["text_output"]),
        input_tokens=count_in(response["num_input_tokens"]),
        output_tokens=count_in(response["num_output_tokens"]),
        finish_reason=None,
        cumulative_logprob=number_in(response.get("cum_log_probs", np.array([math.nan]))),
    )


def _by_length(request: GenerationRequest, tokens: int) -> str:
    return "length" if tokens >= request.max_tokens else "stop"


TENSORRT_LLM = Dialect(
    inputs=TENSORRT_INPUTS,
    outputs=frozenset({"text_output", "cum_log_probs", "num_input_tokens", "num_output_tokens"}),
    request=_tensorrt_request,
    delta=_tensorrt_delta,
    ended=_by_length,
)

DIALECTS: Mapping[str, Dialect] = {"tensorrtllm": TENSORRT_LLM}
"""By a profile's engine; VLLM for the others."""


def _row(*texts: str) -> Array:
    """BYTES [1, len(texts)]."""
    return text_tensor(*texts).reshape(1, -1)
