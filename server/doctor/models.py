"""What the models of a profile need: weights, tokenizers, memory, and libraries for routers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

from budgetmem.assets import AssetStatus, cache_root, status
from budgetmem.bundled_routers import with_bundled
from budgetmem.config import Profile
from budgetmem.errors import AssetError, ConfigError
from budgetmem.router_artifact import PACKAGES
from budgetmem.tokens import cached_tokenizer, load_tokenizer
from server.doctor.findings import Finding, Level, Wanted, shown_size
from server.doctor.machine import Machine, free_bytes

WEIGHTS_TO_MEMORY = 2.0
"""Weights are packed: with caches, buffers and Triton a profile needs about twice as much."""


def assets(wanted: Wanted, machine: Machine) -> Iterator[Finding]:
    """A Triton elsewhere has the weights itself, but this side counts tokens."""
    elsewhere = wanted.triton_url is not None
    rows = status(_counting(wanted.profile) if elsewhere else wanted.profile.assets)
    bad = [row for row in rows if row.state != "installed"]
    if not bad:
        what = "for their tokenizers, " if elsewhere else ""
        found = f"{len(rows)} installed, {what}{shown_size(_bytes(rows))}"
        yield Finding("assets", Level.OK, found)
        return
    found = ", ".join(f"{row.name} is {row.state}" for row in bad)
    # Not the profile: that of a file has a name that `pull` does not know.
    names = " ".join(row.name for row in bad)
    advice = f"budgetmem assets pull {names}  ({shown_size(_bytes(bad))})"
    yield Finding("assets", Level.FAIL, found, advice)
    free, needed = free_bytes(cache_root()), 2 * _bytes(bad)
    if free is not None and free < needed:
        advice = "downloads are converted: free twice their size, or set BUDGETMEM_ASSETS"
        yield Finding("disk", Level.FAIL, f"{shown_size(free)} free at {cache_root()}", advice)


def tokenizers(wanted: Wanted, machine: Machine) -> Iterator[Finding]:
    """Those that no asset brings: files of endpoints, and models of a hub."""
    names = [each.tokenizer for each in wanted.profile.endpoints.values() if each.tokenizer]
    for file in (Path(name) for name in names if name.endswith(".json")):
        try:
            load_tokenizer(file)
        except AssetError as exc:
            yield Finding("tokenizers", Level.FAIL, str(exc))
    on_triton = [each.hub for each in wanted.profile.on_triton.values() if each.asset is None]
    for hub_id in dict.fromkeys([*on_triton, *(n for n in names if not n.endswith(".json"))]):
        if hub_id is not None and cached_tokenizer(hub_id) is None:
            yield Finding(
                "tokenizers",
                Level.WARN,
                f"that of {hub_id} is not in the local hub cache: its prompts count four times",
                f"hf download {hub_id} tokenizer.json  (HF_HOME says where the cache is)",
            )


def memory(wanted: Wanted, machine: Machine) -> Iterator[Finding]:
    """Of the machine, for weights and what is computed with them."""
    if wanted.triton_url is not None or machine.memory_bytes is None:
        return
    needed = WEIGHTS_TO_MEMORY * _bytes(status(wanted.profile.assets))
    enough = machine.memory_bytes >= needed
    advice = f"{wanted.profile.name} takes about {shown_size(needed)}: try --profile tiny"
    yield Finding(
        "memory",
        Level.OK if enough else Level.FAIL,
        f"{shown_size(machine.memory_bytes)} available",
        "" if enough else advice,
    )


def routers(wanted: Wanted, machine: Machine) -> Iterator[Finding]:
    """Libraries: a server whose bundled routers cannot run does not start."""
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if not missing:
        yield Finding("routers", Level.OK, f"{' and '.join(PACKAGES)} are installed")
        return
    found = f"{', '.join(missing)} not installed"
    try:
        with_bundled(wanted.bundle or "", ())
    except ConfigError as exc:
        yield Finding("routers", Level.FAIL, found, str(exc))
    else:
        advice = f"pip install {' '.join(missing)}; without, every module takes its Mid tier"
        yield Finding("routers", Level.WARN, found, advice)


def _counting(profile: Profile) -> list[str]:
    """Assets whose tokenizers count what is sent to Triton."""
    local = (each.asset for each in profile.on_triton.values() if each.asset is not None)
    return list(dict.fromkeys([profile.encoder.asset, *local]))


def _bytes(rows: Sequence[AssetStatus]) -> int:
    return sum(row.size for row in rows)
