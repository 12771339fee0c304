"""What differs between two trees of settings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

Settings = Mapping[str, Any]


def differences(held: Settings, given: Settings, prefix: str = "") -> list[str]:
    """What differs between two trees of settings, by name: `ppo.clip: 0.2, here 0.1`."""
    found: list[str] = []
    for name in sorted({*held, *given}):
        one, other = held.get(name), given.get(name)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            found += differences(one, other, f"{prefix}{name}.")
        elif one != other:
            found.append(f"{prefix}{name}: {json.dumps(one)}, here {json.dumps(other)}")
    return found
