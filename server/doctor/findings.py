"""What is to be served, and what a check says of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from budgetmem.config import Profile
from server.doctor.machine import Machine


class Level(str, Enum):
    """`WARN` works, less well; `FAIL` does not."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    """What one check found. `advice` says what to do, empty where there is nothing to do."""

    check: str
    level: Level
    found: str
    advice: str = ""


@dataclass(frozen=True)
class Wanted:
    """What is to be served, and where. With a `triton_url` nothing is embedded.

    `bundle` is what load_profile was given if the routers that come with it are to serve, else
    None. `store` is a folder, or the URL of a database; None is a folder in `data_dir`.
    """

    profile: Profile
    data_dir: Path
    host: str
    port: int
    triton_url: str | None = None
    bundle: str | None = None
    # It may hold a password.
    store: str | None = field(default=None, repr=False)


Check = Callable[[Wanted, Machine], Iterator[Finding]]


def shown_size(bytes_: float) -> str:
    """A size for people."""
    return f"{bytes_ / 1e9:.1f} GB" if bytes_ >= 1e9 else f"{bytes_ / 1e6:.0f} MB"
