"""The engine for everywhere else: Hugging Face transformers on PyTorch, on the CPU or a GPU.

It batches in waves: what waits is read as one padded batch, which then generates one token a step
and shrinks as its rows end; what arrives meanwhile forms the next wave. It cannot constrain
decoding, so a JSON schema is not enforced. For throughput on a GPU use Triton's vLLM backend.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    DynamicCache,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from budgetmem.errors import BackboneError, ConfigError, InvalidInput
from server.engines.base import FinishReason, Progress
from server.engines.options import EngineOptions, gguf_file
from server.engines.sampling import SamplingParams

Shaping = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Token ids [1, length] and float32 logits [1, vocabulary] to logits."""


class TransformersOptions(EngineOptions):
    """`dtype` is PyTorch's name of a type; `auto` takes that of the weights."""

    device: Annotated[str, Field(pattern=r"^(cpu|cuda(:\d+)?)$")] = "cpu"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"


@dataclass
class _Row:
    """One sequence: `tokens` are prompt and output, the last one not yet read by the model."""

    sequence: int
    params: SamplingParams
    tokens: list[int]
    prompt_length: int
    limit: int
    shape: tuple[Shaping, ...]
    generator: torch.Generator
    dropped: bool = False


@dataclass
class _Wave:
    """The batch under way. `mask` is int64 [rows, length read so far], zeros at the left."""

    rows: list[_Row]
    mask: torch.Tensor
    cache: DynamicCache = field(default_factory=DynamicCache)


class TransformersRunner:
    """A Runner over a causal language model: a GGUF file, or a folder in Hugging Face's format.

    Raises ConfigError where the weights or the device are not there, BackboneError where the
    weights do not load.
    """

    def __init__(self, weights: Path, options: TransformersOptions) -> None:
        self._options = options
        if options.device.startswith("cuda") and not torch.cuda.is_available():
            raise ConfigError(f"device {options.device!r}: PyTorch sees no GPU")
        self._tokenizer, self._model = _load(weights, options)
        context = getattr(self._model.config, "max_position_embeddings", None)
        self._limit = min(options.max_model_len or context or 2048, context or 2048)
        eos = self._model.generation_config.eos_token_id
        self._ends = {*(eos if isinstance(eos, list) else [eos]), self._tokenizer.eos_token_id}
        self._ends.discard(None)
        self.reset()

    def reset(self) -> None:
        self._waiting: list[_Row] = []
        self._wave: _Wave | None = None

    def add(self, sequence: int, prompt: str, params: SamplingParams) -> int:
        tokens = self._tokenizer.encode(prompt)
        if not tokens:
            raise InvalidInput("text_input", "is empty")
        if len(tokens) >= self._limit:
            raise InvalidInput(
                "text_input",
                f"{len(tokens)} tokens do not fit this model: context {self._limit} tokens",
            )
        generator = torch.Generator(device="cpu")
        if params.seed is None:
            generator.seed()
        else:
            generator.manual_seed(params.seed)
        limit = min(params.max_tokens, self._limit - len(tokens))
        row = _Row(sequence, params, tokens, len(tokens), limit, _shape(params), generator)
        self._waiting.append(row)
        return len(tokens)

    def step(self) -> Sequence[Progress]:
        try:
            with torch.inference_mode():
                return self._advance()
        except RuntimeError as exc:
            raise BackboneError(f"{type(exc).__name__}: {exc}") from exc

    def drop(self, sequence: int) -> None:
        self._waiting = [row for row in self._waiting if row.sequence != sequence]
        for row in self._wave.rows if self._wave else []:
            row.dropped = row.dropped or row.sequence == sequence

    def decode(self, tokens: Sequence[int]) -> str:
        return str(self._tokenizer.decode(list(tokens), skip_special_tokens=True))

    def close(self) -> None:
        self.reset()
        self._model = None

    def _advance(self) -> list[Progress]:
        wave = self._shrunk(self._wave) if self._wave else None
        started = wave is not None
        if wave is None:
            wave = self._next_wave()
        if wave is None:
            return []
        logits = self._read(wave, started)
        done = [self._extend(row, scores) for row, scores in zip(wave.rows, logits, strict=True)]
        for row, progress in zip(wave.rows, done, strict=True):
            row.dropped = progress.finish_reason is not None
        self._wave = wave
        return done

    def _next_wave(self) -> _Wave | None:
        rows = self._waiting[: self._options.max_num_seqs]
        del self._waiting[: len(rows)]
        if not rows:
            self._wave = None
            return None
        longest = max(len(row.tokens) for row in rows)
        mask = [[0] * (longest - len(row.tokens)) + [1] * len(row.tokens) for row in rows]
        return _Wave(rows, torch.tensor(mask, device=self._model.device))

    def _shrunk(self, wave: _Wave) -> _Wave | None:
        """The wave without the rows that ended or were dropped; None if none is left."""
        keep = [i for i, row in enumerate(wave.rows) if not row.dropped]
        if not keep:
            return None
        if len(keep) == len(wave.rows):
            return wave
        index = torch.tensor(keep, device=wave.mask.device)
        wave.cache.batch_select_indices(index)
        return _Wave([wave.rows[i] for i in keep], wave.mask[index], wave.cache)

    def _read(self, wave: _Wave, started: bool) -> torch.Tensor:
        """Reads what the model has not read yet; float32 logits [rows, vocabulary] on the CPU."""
        if started:
            ids = torch.tensor([row.tokens[-1:] for row in wave.rows], device=wave.mask.device)
            wave.mask = torch.cat([wave.mask, torch.ones_like(ids)], dim=1)
        else:
            length = wave.mask.shape[1]
            padded = [[0] * (length - len(row.tokens)) + row.tokens for row in wave.rows]
            ids = torch.tensor(padded, device=wave.mask.device)
        positions = (wave.mask.cumsum(dim=1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        output = self._model(
            input_ids=ids,
            attention_mask=wave.mask,
            position_ids=positions,
            past_key_values=wave.cache,
            use_cache=True,
            logits_to_keep=1,
        )
        logits: torch.Tensor = output.logits[:, -1].float().cpu()
        return logits

    def _extend(self, row: _Row, scores: torch.Tensor) -> Progress:
        """Chooses the row's next token by float32 logits [vocabulary]."""
        written = len(row.tokens) - row.prompt_length
        chosen_from = scores.clone()
        if row.params.ignore_eos or written < row.params.min_tokens:
            chosen_from[list(self._ends)] = -torch.inf
        for process in row.shape:
            chosen_from = process(torch.tensor([row.tokens]), chosen_from[None])[0]
        if row.params.temperature > 0:
            weights = chosen_from.softmax(dim=0)
            token = int(torch.multinomial(weights, 1, generator=row.generator))
        else:
            token = int(chosen_from.argmax())
        row.tokens.append(token)
        reason: FinishReason | None = None
        if token in self._ends:
            reason = "stop"
        elif written + 1 >= row.limit:
            reason = "length"
        logprobs: tuple[float, ...] = ()
        if row.params.logprobs is not None:
            logprobs = (float(scores.log_softmax(dim=0)[token]),)
        return Progress(row.sequence, (token,), logprobs, reason)


def _shape(params: SamplingParams) -> tuple[Shaping, ...]:
    """The changes to the logits that a request asks for, in the order vLLM applies them."""
    steps: list[Shaping] = []
    if params.repetition_penalty != 1:
        steps.append(RepetitionPenaltyLogitsProcessor(params.repetition_penalty))
    if params.temperature > 0:
        steps.append(TemperatureLogitsWarper(params.temperature))
        if params.top_k > 0:
            steps.append(TopKLogitsWarper(params.top_k))
        if params.top_p < 1:
            steps.append(TopPLogitsWarper(params.top_p))
    return tuple(steps)


def _load(weights: Path, options: TransformersOptions) -> tuple[Any, Any]:
    file = gguf_file(weights)
    folder = file.parent if file else weights
    if not folder.is_dir():
        raise ConfigError(f"{weights}: neither a .gguf file nor a folder")
    gguf = {"gguf_file": file.name} if file else {}
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, **gguf)
        model: Any = AutoModelForCausalLM.from_pretrained(
            folder, local_files_only=True, dtype=options.dtype, **gguf
        )
        model.to(options.device)
        return tokenizer, model.eval()
    except (OSError, ValueError, RuntimeError) as exc:
        raise BackboneError(f"{weights}: transformers cannot load it: {exc}") from exc
