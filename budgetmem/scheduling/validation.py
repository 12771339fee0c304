"""Refuses what a scheduler core cannot work with, naming the field as the C++ core does."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from budgetmem.errors import InvalidInput
from budgetmem.scheduling.interface import ITEM, MAX_TOKENS, NEVER, Plan

_UINT32 = 2**32 - 1


def check_plan(plan: Plan) -> None:
    """Raises InvalidInput naming the first thing in the plan that cannot work."""
    _check_filled("plan.backbones", plan.backbones)
    _check_filled("plan.queues", plan.queues)
    for index, backbone in enumerate(plan.backbones):
        at = f"plan.backbones[{index}]"
        _check_range(f"{at}.credits", backbone.credits, 1, _UINT32)
        _check_range(f"{at}.batch_items", backbone.batch_items, 1, _UINT32)
        _check_range(f"{at}.batch_tokens", backbone.batch_tokens, 0, _UINT32)
        if not isinstance(backbone.pads, bool):
            raise InvalidInput(f"{at}.pads", "must be a bool")
        _check_range(f"{at}.fixed", backbone.fixed, 0, NEVER)
        _check_range(f"{at}.per_token", backbone.per_token, 0, NEVER)
        _check_range(f"{at}.leader_timeout", backbone.leader_timeout, 0, NEVER)
        _check_range(f"{at}.device", backbone.device, 0, _UINT32)
    for index, queue in enumerate(plan.queues):
        at = f"plan.queues[{index}]"
        _check_range(f"{at}.backbone", queue.backbone, 0, len(plan.backbones) - 1)
        _check_range(f"{at}.capacity", queue.capacity, 1, _UINT32)
        _check_range(f"{at}.tenant_capacity", queue.tenant_capacity, 1, _UINT32)
    _check_range("plan.quantum", plan.quantum, 1, _UINT32)
    _check_range("plan.age_cap", plan.age_cap, 0, NEVER)
    _check_range("plan.device_turn", plan.device_turn, 1, NEVER)


def check_items(items: NDArray[np.void], queues: int) -> None:
    """Raises InvalidInput for anything but an array of ITEM whose every row can be admitted."""
    _check_array("items", items, ITEM)
    unknown = items["queue"] >= queues
    wrong = unknown | (items["tokens"] < 1) | (items["tokens"] > MAX_TOKENS)
    if wrong.any():
        first = int(wrong.argmax())
        if unknown[first]:
            raise InvalidInput(f"items[{first}].queue", f"there are {queues} queues")
        raise InvalidInput(f"items[{first}].tokens", f"must be from 1 to {MAX_TOKENS}")


def check_ids(ids: NDArray[np.uint64]) -> None:
    """Raises InvalidInput for anything but a one-dimensional, contiguous array of uint64."""
    _check_array("ids", ids, np.uint64)


def check_credits(plan: Plan, backbone: int, credits: int) -> None:
    """Raises InvalidInput for an unknown backbone, or no credits at all."""
    _check_range("backbone", backbone, 0, len(plan.backbones) - 1)
    _check_range("credits", credits, 1, _UINT32)


def check_now(now: int) -> None:
    """Raises InvalidInput for anything but a time in int64 nanoseconds."""
    _check_range("now", now, -NEVER - 1, NEVER)


def _check_filled(field: str, values: tuple[Any, ...]) -> None:
    if not values:
        raise InvalidInput(field, "must not be empty")


def _check_range(field: str, value: int, least: int, most: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise InvalidInput(field, f"must be a whole number from {least} to {most}, not {value!r}")


def _check_array(field: str, array: object, dtype: DTypeLike) -> None:
    if not isinstance(array, np.ndarray) or array.dtype != np.dtype(dtype):
        raise InvalidInput(field, f"must be an array of {np.dtype(dtype)}")
    if array.ndim != 1 or not array.flags.c_contiguous or not array.flags.aligned:
        raise InvalidInput(field, "must be one-dimensional, contiguous and aligned")
