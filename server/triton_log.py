"""What a line of Triton's log is worth."""

from __future__ import annotations

import logging
import re

LEVELS = {
    "I": logging.INFO,
    "W": logging.WARNING,
    "E": logging.ERROR,
    "F": logging.CRITICAL,
}
LOG_PREFIX = re.compile(r"^([IWEF])\d{4} \d\d:\d\d:\d\d\.\d+ \d+ (.*)$")
TABLE_ROW = re.compile(r"^[+|]")
EXPECTED = (
    "CudaDriverHelper has not been initialized",
    "Unable to allocate pinned system memory",
    "HandleCancellation called even when the context was not cancelled",
)
"""What Triton 2.51 reports as a warning or error though all is well: that there is no GPU, and
that a stream ended with the error of its request."""


def graded(line: str) -> tuple[int, str]:
    """Level and message of a line of Triton's log. What models print themselves is INFO."""
    if TABLE_ROW.match(line) or any(part in line for part in EXPECTED):
        return logging.DEBUG, line
    prefix = LOG_PREFIX.match(line)
    return (LEVELS[prefix[1]], prefix[2]) if prefix else (logging.INFO, line)
