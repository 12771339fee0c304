"""The router as an ONNX graph: what it takes and gives, and whether a file is one.

Inputs: `query` and `state` float32 [n, dimension], `features` float32 [n, features], `module` int64
[n] (the place in MODULES), `cost_weight` float32 [n]. Output: `logits` float32 [n, tiers].
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from budgetmem.errors import BackboneError, ConfigError, InvalidInput
from budgetmem.modules import MODULES
from budgetmem.onnx_session import OnnxSession
from budgetmem.router_operators import AGAIN, FAILED
from budgetmem.tiers import Tier

INPUTS = ("query", "state", "features", "module", "cost_weight")
OUTPUT = "logits"

PROBE_ROWS = (1, 2 * len(MODULES))
"""The batches a router is tried with: one decision, and every module twice."""

Feeds = Mapping[str, NDArray[np.generic]]
Signature = Mapping[str, tuple[str, tuple[int, ...]]]
"""Type and shape of each input, without the rows."""


def check_graph(session: OnnxSession, dimension: int, features: int) -> None:
    """Raises ConfigError for a graph that is no router of these sizes, or not a sound one.

    It is asked for logits of zeros, of ones and of random inputs, which must be finite.
    """
    expected = _signature(dimension, features)
    _check_declared(session, expected)
    for feeds in _probes(expected):
        _check_answer(session, feeds)


def _signature(dimension: int, features: int) -> Signature:
    return {
        "query": ("tensor(float)", (dimension,)),
        "state": ("tensor(float)", (dimension,)),
        "features": ("tensor(float)", (features,)),
        "module": ("tensor(int64)", ()),
        "cost_weight": ("tensor(float)", ()),
    }


def _check_declared(session: OnnxSession, expected: Signature) -> None:
    if set(session.inputs) != set(INPUTS) or session.outputs != (OUTPUT,):
        raise ConfigError(
            f"not a router: it maps {', '.join(session.inputs)} to {', '.join(session.outputs)}, "
            f"a router {', '.join(INPUTS)} to {OUTPUT}: {AGAIN}"
        )
    for node in session.session.get_inputs():
        kind, row = expected[node.name]
        if node.type != kind or not _fits(node.shape, row):
            raise ConfigError(
                f"its input {node.name!r} is {node.type} {_spell(node.shape)}, but by its card it "
                f"must be {kind} {_spell(['n', *row])}: {AGAIN}"
            )


def _fits(found: Sequence[int | str | None], row: tuple[int, ...]) -> bool:
    """Whether a declared shape has any number of rows of this shape."""
    return len(found) > 0 and not isinstance(found[0], int) and tuple(found[1:]) == row


def _spell(shape: Sequence[int | str | None]) -> str:
    return f"[{', '.join(map(str, shape))}]"


def _probes(expected: Signature) -> Iterator[Feeds]:
    random = np.random.default_rng(0)
    for rows in PROBE_ROWS:
        for make in (np.zeros, np.ones, random.standard_normal):
            feeds = {
                name: make((rows, *row)).astype(np.float32) for name, (_, row) in expected.items()
            }
            yield {**feeds, "module": np.arange(rows) % len(MODULES)}


def _check_answer(session: OnnxSession, feeds: Feeds) -> None:
    shape = (len(feeds["module"]), len(Tier))
    try:
        logits = session.run([OUTPUT], feeds)[OUTPUT]
    except (InvalidInput, BackboneError) as exc:
        raise ConfigError(f"it fails on {shape[0]} decisions: {exc}: {AGAIN}") from exc
    if logits.dtype != np.float32 or logits.shape != shape:
        raise ConfigError(
            f"its logits are {logits.dtype} {_spell(logits.shape)}, not float32 {_spell(shape)}, "
            f"one of {', '.join(tier.label for tier in Tier)} each: {AGAIN}"
        )
    if not np.isfinite(logits).all():
        raise ConfigError(f"its logits are not finite: {FAILED}")
