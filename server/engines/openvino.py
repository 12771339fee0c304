"""The CPU engine: OpenVINO GenAI's continuous batching with paged attention and prefix caching.

What was found out about the library (2026.4), and shapes this file:
- `step` raises for a schema that its grammar compiler refuses, and the pipeline is then beyond
  repair for everybody: it is built anew, and that schema is refused from then on. Only the message
  tells such an error from want of memory: it names the compiler's source file.
- One prompt that cannot fit into the cache makes it ignore every request of the batch, so that
  prompts are checked against the cache's capacity before they are admitted.
- `step` holds Python's global lock; `ThreadedEngine` pauses between steps for the other threads.
"""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import openvino_genai as genai
from pydantic import Field

from budgetmem.errors import BackboneError, ConfigError, InvalidInput
from server.engines.base import FinishReason, Progress
from server.engines.options import EngineOptions, Positive, gguf_context_length, gguf_file
from server.engines.sampling import FIELD, SamplingParams

log = logging.getLogger(__name__)

FINISH_REASONS: dict[Any, FinishReason] = {
    genai.GenerationFinishReason.STOP: "stop",
    genai.GenerationFinishReason.LENGTH: "length",
}

GRAMMAR_COMPILER = "xgrammar"
"""What messages of its errors hold."""


class OpenVinoOptions(EngineOptions):
    """`cache_size` is the KV cache in GB. A prompt is read `max_num_batched_tokens` at a time.

    `num_kv_blocks` sets the cache in blocks of the engine instead. `num_threads` 0 uses all cores.
    """

    device: Annotated[str, Field(pattern=r"^(CPU|GPU(\.\d+)?)$")] = "CPU"
    cache_size: Positive = 1
    num_kv_blocks: Positive | None = None
    max_num_batched_tokens: Positive = 256
    dynamic_split_fuse: bool = True
    enable_prefix_caching: bool = True
    num_threads: int = 0


class OpenVinoRunner:
    """A Runner over `ContinuousBatchingPipeline`, on a GGUF file or a folder in OpenVINO's format.

    Raises ConfigError where the weights are not there, BackboneError where they do not load.
    """

    def __init__(self, weights: Path, options: OpenVinoOptions) -> None:
        self._options = options
        self._weights = _loadable(weights)
        self._context = _smallest(options.max_model_len, _context_length(self._weights))
        self._proven: set[str] = set()
        self._refused: dict[str, str] = {}
        self.reset()

    def reset(self) -> None:
        self._handles: dict[int, Any] = {}
        self._unproven: dict[int, str] = {}
        # The old pipeline goes before the new one comes, or both caches are in memory at once.
        self._pipeline: Any = None
        self._pipeline = _open_pipeline(self._weights, self._options)
        self._tokenizer = self._pipeline.get_tokenizer()
        self._eos = self._pipeline.get_config().eos_token_id
        self._capacity = self._measure_capacity()
        self._limit = self._reading_limit()
        log.info("%s: KV cache for %d tokens", self._weights, self._capacity)

    def add(self, sequence: int, prompt: str, params: SamplingParams) -> int:
        ids = self._encode(prompt).input_ids
        length = int(ids.get_shape()[1])
        room = self._room_after(length)
        schema = params.json_schema
        if schema in self._refused:
            raise InvalidInput(f"{FIELD}.structured_outputs", self._refused[schema])
        config = self._generation_config(params, room)
        try:
            self._handles[sequence] = self._pipeline.add_request(sequence, ids, config)
        except RuntimeError as exc:
            raise InvalidInput(FIELD, f"refused by the engine: {_reason(exc)}") from exc
        if schema is not None and schema not in self._proven:
            self._unproven[sequence] = schema
        return length

    def step(self) -> Sequence[Progress]:
        self._advance()
        return [
            progress
            for sequence, handle in list(self._handles.items())
            if (progress := self._progress(sequence, handle)) is not None
        ]

    def drop(self, sequence: int) -> None:
        handle = self._handles.pop(sequence, None)
        self._unproven.pop(sequence, None)
        if handle is not None:
            handle.cancel()
            if not self._handles:
                # The cache is freed by the next step, and without other work there is none.
                self._advance()

    def decode(self, tokens: Sequence[int]) -> str:
        return str(self._tokenizer.decode(list(tokens))) if tokens else ""

    def close(self) -> None:
        self._handles.clear()
        self._pipeline = None

    def _advance(self) -> None:
        try:
            self._pipeline.step()
        except RuntimeError as exc:
            if GRAMMAR_COMPILER in str(exc):
                for schema in self._unproven.values():
                    self._refused[schema] = f"the engine cannot follow this schema: {_reason(exc)}"
            raise BackboneError(_reason(exc)) from exc

    def _encode(self, prompt: str) -> genai.TokenizedInputs:
        try:
            return self._tokenizer.encode(prompt)
        except RuntimeError as exc:
            raise BackboneError(f"the tokenizer failed: {_reason(exc)}") from exc

    def _progress(self, sequence: int, handle: genai.GenerationHandle) -> Progress | None:
        tokens: list[int] = []
        logprobs: list[float] = []
        reason: FinishReason | None = None
        while handle.can_read():
            outputs = handle.read()
            if not outputs:
                break
            for output in outputs.values():
                tokens.extend(output.generated_ids)
                logprobs.extend(output.generated_log_probs)
                reason = FINISH_REASONS.get(output.finish_reason, reason)
        if tokens and (schema := self._unproven.pop(sequence, None)) is not None:
            self._proven.add(schema)
        status = handle.get_status()
        if reason is not None or status != genai.GenerationStatus.RUNNING:
            del self._handles[sequence]
        if status == genai.GenerationStatus.IGNORED:
            message = f"the KV cache is full: {self._limits()}"
            return Progress(sequence, (), (), error=BackboneError(message))
        if not tokens and reason is None:
            return None
        return Progress(sequence, tuple(tokens), tuple(logprobs), reason)

    def _room_after(self, length: int) -> int:
        """Tokens that may be generated after a prompt of `length` tokens."""
        if length == 0:
            raise InvalidInput("text_input", "is empty")
        if length >= self._limit:
            raise InvalidInput(
                "text_input", f"{length} tokens or more do not fit this model: {self._limits()}"
            )
        return self._limit - length

    def _limits(self) -> str:
        context = f"context {self._context} tokens, " if self._context else ""
        return f"{context}KV cache {self._capacity} tokens"

    def _generation_config(self, params: SamplingParams, room: int) -> genai.GenerationConfig:
        config = genai.GenerationConfig(
            max_new_tokens=min(params.max_tokens, room),
            min_new_tokens=min(params.min_tokens, params.max_tokens, room),
            ignore_eos=params.ignore_eos,
            repetition_penalty=params.repetition_penalty,
            logprobs=0 if params.logprobs is None else 1,
            apply_chat_template=False,
            do_sample=params.temperature > 0,
        )
        config.set_eos_token_id(self._eos)
        if params.temperature > 0:
            config.temperature = params.temperature
            config.top_p = params.top_p
            config.rng_seed = params.seed if params.seed is not None else secrets.randbits(31)
            if params.top_k > 0:
                config.top_k = params.top_k
        if params.json_schema is not None:
            config.structured_output_config = genai.StructuredOutputConfig(
                json_schema=params.json_schema
            )
        return config

    def _reading_limit(self) -> int:
        """Tokens of prompt and output together, at most.

        The tokenizer cuts what is longer than a limit of its own, in silence; so that limit is
        found by a text that is too long, and prompts that reach it are refused.
        """
        limit: int = min(self._capacity, self._context or self._capacity)
        uncut = self._tokenizer.encode("a " * (limit + 1)).input_ids.get_shape()[1]
        return min(limit, int(uncut))

    def _measure_capacity(self) -> int:
        """Tokens that the KV cache holds. The library does not say, but one block's share does."""
        handle = self._pipeline.add_request(
            0, self._tokenizer.encode("a").input_ids, self._generation_config(_PROBE, 8)
        )
        self._pipeline.step()
        share = self._pipeline.get_metrics().cache_usage
        handle.cancel()
        self._pipeline.step()
        if share <= 0:
            raise BackboneError("the engine does not report the use of its KV cache")
        blocks = round(100 / float(share))
        return blocks * BLOCK_TOKENS[self._options.device.split(".")[0]]


def _smallest(*limits: int | None) -> int | None:
    return min((limit for limit in limits if limit is not None), default=None)


_PROBE = SamplingParams(max_tokens=2, ignore_eos=True, temperature=0)

BLOCK_TOKENS = {"CPU": 32, "GPU": 16}
"""Tokens of a KV block by device, as the library fixes them."""


def _loadable(weights: Path) -> Path:
    file = gguf_file(weights)
    if file is not None:
        return file
    if (weights / "openvino_model.xml").is_file():
        return weights
    raise ConfigError(f"{weights}: neither a .gguf file, nor a folder with model.gguf or IR files")


def _context_length(weights: Path) -> int | None:
    if weights.suffix == ".gguf":
        return gguf_context_length(weights)
    config = weights / "config.json"
    if not config.is_file():
        return None
    length = json.loads(config.read_text()).get("max_position_embeddings")
    return None if length is None else int(length)


def _open_pipeline(weights: Path, options: OpenVinoOptions) -> genai.ContinuousBatchingPipeline:
    scheduler = genai.SchedulerConfig()
    scheduler.cache_size = 0 if options.num_kv_blocks else options.cache_size
    if options.num_kv_blocks:
        scheduler.num_kv_blocks = options.num_kv_blocks
    scheduler.max_num_batched_tokens = options.max_num_batched_tokens
    scheduler.max_num_seqs = options.max_num_seqs
    scheduler.dynamic_split_fuse = options.dynamic_split_fuse
    scheduler.enable_prefix_caching = options.enable_prefix_caching
    properties = {"INFERENCE_NUM_THREADS": options.num_threads} if options.num_threads else {}
    try:
        return genai.ContinuousBatchingPipeline(str(weights), scheduler, options.device, properties)
    except RuntimeError as exc:
        raise BackboneError(f"{weights}: the engine cannot load it: {_reason(exc)}") from exc


def _reason(exc: RuntimeError) -> str:
    """The last line of a C++ message: the ones before name source files of the library's build."""
    lines = [line.strip() for line in str(exc).splitlines() if line.strip()]
    last = lines[-1] if lines else "no reason given"
    return last.rsplit(": ", 1)[-1] if "/src/" in last or "_deps/" in last else last
