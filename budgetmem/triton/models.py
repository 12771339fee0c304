"""From a profile and a server's address to the models of that profile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from budgetmem.assets import asset_dir
from budgetmem.backbone import Backbone, Caller, TokenCounter
from budgetmem.config import BackboneProfile, Profile
from budgetmem.errors import BackboneUnavailable, ConfigError
from budgetmem.tokens import FileTokens, hub_tokens
from budgetmem.triton import encoder, tagger
from budgetmem.triton.backbone import TritonBackbone
from budgetmem.triton.channel import Channel, ModelContract, ServerInfo
from budgetmem.triton.dialects import DIALECTS, VLLM
from budgetmem.triton.encoder import TritonEncoder
from budgetmem.triton.tagger import TritonTagger

TOKENIZER = "tokenizer.json"
POLL_S = 0.1
PROBE_TIMEOUT_S = 5.0

AssetFolder = Callable[[str], Path]
"""From a catalogue name to the folder of that asset."""


@dataclass(frozen=True)
class Models:
    """The models of a profile on one server. `backbones` has the keys of the profile's that are on
    Triton; others may be put beside them."""

    backbones: Mapping[str, Backbone]
    encoder: TritonEncoder
    tagger: TritonTagger
    server: ServerInfo
    channel: Channel

    def bound(self, caller: Caller) -> Models:
        """Themselves: nothing is scheduled."""
        return self

    async def close(self) -> None:
        await self.channel.close()


async def connect(profile: Profile, url: str, asset_folder: AssetFolder = asset_dir) -> Models:
    """Connects to a server that has the profile's models loaded, and checks their contracts.

    Raises BackboneUnavailable if the server or a model is not there, ConfigError if a model
    there lacks an input or output that its role needs, AssetError for a missing tokenizer.
    """
    channel = Channel(url)
    try:
        return Models(
            backbones={
                key: await _backbone(channel, each, asset_folder)
                for key, each in profile.on_triton.items()
            },
            encoder=await _encoder(channel, profile, asset_folder),
            tagger=await _tagger(channel, profile),
            server=await channel.server_info(),
            channel=channel,
        )
    except BaseException:
        await channel.close()
        raise


async def wait_ready(
    url: str,
    models: Sequence[str],
    timeout_s: float,
    on_progress: Callable[[Sequence[str], Sequence[str]], None] | None = None,
) -> None:
    """Returns when the server says that every one of `models` is ready.

    `on_progress` gets the ready models and all of them whenever one more is ready. Raises
    BackboneUnavailable naming those that are not ready after `timeout_s` seconds.
    """
    deadline = time.monotonic() + timeout_s
    waiting = list(models)
    channel = Channel(url)
    try:
        while waiting:
            left = deadline - time.monotonic()
            if left <= 0:
                raise BackboneUnavailable(
                    f"not ready at {url} after {timeout_s:g} s: {', '.join(waiting)}; check that "
                    "Triton runs there, and its log for why the model did not load"
                )
            if await channel.ready(waiting[0], min(left, PROBE_TIMEOUT_S)):
                waiting.pop(0)
                if on_progress is not None:
                    on_progress([m for m in models if m not in waiting], models)
            else:
                await asyncio.sleep(min(left, POLL_S))
    finally:
        await channel.close()


async def _backbone(
    channel: Channel, profile: BackboneProfile, asset_folder: AssetFolder
) -> TritonBackbone:
    contract = await channel.contract(profile.triton_model)
    dialect = DIALECTS.get(profile.engine, VLLM)
    _check(channel, profile.triton_model, contract, dialect.inputs, dialect.outputs)
    if not contract.decoupled:
        raise ConfigError(
            f"{profile.triton_model} at {channel.url} is not a decoupled model: backbones stream, "
            "as those of Triton's vLLM backend do"
        )
    tokens = _counter(profile, asset_folder)
    return TritonBackbone(channel, profile.triton_model, tokens, dialect=dialect)


def _counter(profile: BackboneProfile, asset_folder: AssetFolder) -> TokenCounter:
    if profile.asset is not None:
        return FileTokens(asset_folder(profile.asset) / TOKENIZER)
    return hub_tokens(profile.hub or "")


async def _encoder(channel: Channel, profile: Profile, asset_folder: AssetFolder) -> TritonEncoder:
    entry = profile.encoder
    contract = await channel.contract(entry.triton_model)
    required = encoder.REQUIRED_INPUTS
    _check(channel, entry.triton_model, contract, required, frozenset({encoder.OUTPUT}))
    return TritonEncoder(
        channel,
        entry.triton_model,
        asset_folder(entry.asset) / TOKENIZER,
        name=entry.asset,
        dimension=entry.dimension,
        max_tokens=entry.max_tokens,
        batch_size=contract.max_batch_size,
        with_type_ids=encoder.TYPE_IDS in contract.inputs,
    )


async def _tagger(channel: Channel, profile: Profile) -> TritonTagger:
    model = profile.tagger.triton_model
    contract = await channel.contract(model)
    _check(channel, model, contract, frozenset({tagger.INPUT}), frozenset({tagger.OUTPUT}))
    return TritonTagger(channel, model, profile.tagger.asset)


def _check(
    channel: Channel,
    model: str,
    contract: ModelContract,
    inputs: frozenset[str],
    outputs: frozenset[str],
) -> None:
    lacking = sorted((inputs - contract.inputs) | (outputs - contract.outputs))
    if lacking:
        raise ConfigError(
            f"{model} at {channel.url} lacks the tensors {', '.join(lacking)}: it is not the kind "
            "of model that the profile takes it for, or an older version of it"
        )
