"""How many connections callers may hold at a time, so that files are left for everything else."""

from __future__ import annotations

import logging
import math
import resource
from fractions import Fraction

logger = logging.getLogger(__name__)

CONNECTIONS = 4096
"""Of gRPC, and as many of HTTP. One that is idle takes some 15 KB."""

CALLERS = Fraction(3, 4)
"""Of the files that a process may have open, the part that connections of callers may be. The rest
is for the store, the models and the logs: a call that was let in must not fail for want of one."""


def connections_of_each(wanted: int, doors: int) -> int:
    """How many connections each of so many doors may hold: as many as `wanted`, or as there is room
    for, at least one.

    The soft limit of open files is raised as far as they need, and as the hard one lets it.
    """
    files = _raised(math.ceil(wanted * doors / CALLERS))
    room = max(1, int(files * CALLERS) // doors)
    if room < wanted:
        logger.warning(
            "connections are limited to %d of each kind, not %d: this process may have %d files "
            "open (ulimit -Hn)",
            room,
            wanted,
            files,
        )
    return min(wanted, room)


def _raised(needed: int) -> int:
    """How many files the process may have open, once its limit is raised."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return needed
    most = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    except (OSError, ValueError):
        # Some systems have a limit below the one that they tell.
        return soft
    return most
