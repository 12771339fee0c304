"""Files that may change while the server runs."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from budgetmem.errors import ConfigError

logger = logging.getLogger(__name__)

T = TypeVar("T")
Stamp = tuple[int, ...] | None

LOOK_EVERY_S = 1.0


class Watched(Generic[T]):
    """What `load` makes of some files, made anew when one of them changes on disk.

    They are looked at when `value` is asked for, at most every `every_s` seconds of `clock`. What
    cannot be loaded is logged once, and the last good value stays: a certificate and its key are
    two files, which change one after the other. It is loaded again at every look until that
    succeeds: a certificate may be valid from soon on, without another change of its file. Raises
    ConfigError of `load` when it is made. Safe to share between threads.
    """

    def __init__(
        self,
        files: Sequence[Path],
        load: Callable[[], T],
        *,
        clock: Callable[[], float] = time.monotonic,
        every_s: float = LOOK_EVERY_S,
    ) -> None:
        self._files = files
        self._load = load
        self._clock = clock
        self._every_s = every_s
        self._lock = threading.Lock()
        self._looked = clock()
        # Before loading: what changes meanwhile is then seen as a change.
        self._stamps = self._now()
        self._value = load()
        self._refused: tuple[list[Stamp], str] | None = None

    @property
    def value(self) -> T:
        """As of the last look."""
        with self._lock:
            if self._clock() - self._looked >= self._every_s:
                self._look()
            return self._value

    def _look(self) -> None:
        self._looked = self._clock()
        stamps = self._now()
        if stamps == self._stamps:
            return
        try:
            self._value = self._load()
        except ConfigError as exc:
            self._tell((stamps, str(exc)))
            return
        self._stamps = stamps
        self._refused = None

    def _tell(self, refused: tuple[list[Stamp], str]) -> None:
        if refused != self._refused:
            logger.error("what was loaded before stays in use: %s", refused[1])
        self._refused = refused

    def _now(self) -> list[Stamp]:
        return [_stamp(path) for path in self._files]


def _stamp(path: Path) -> Stamp:
    """Differs when the file, its mode or its owner was changed; None where it is not there."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino, found.st_mode
