"""Results as plain JSON values: for the command line, and for the metadata of other frameworks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import Any

from budgetmem.tiers import Tier


def plain(value: Any) -> Any:  # noqa: ANN401  (any value in, any JSON value out)
    """Dataclasses to objects, tiers to low, mid and high, times to ISO 8601."""
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Tier):
        return value.label
    if isinstance(value, Mapping):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    return value
