"""The latency histogram of the C++ core: eight buckets to every power of two.

Values below 8 have a bucket each; above, a bucket is at most 12.5% wide. The layout is that of
csrc/include/budgetmem/histogram.hpp.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from budgetmem.errors import InvalidInput

BUCKETS = 8 * 61


def bucket_of(ns: int) -> int:
    """The bucket of a time in nanoseconds; a negative time counts as 0."""
    if ns < 8:
        return max(ns, 0)
    power = ns.bit_length() - 1
    following = ns >> (power - 3) & 7  # the three bits after the leading one
    return (power - 2) * 8 + following


def upper_bound(bucket: int) -> int:
    """The longest time in the bucket, in nanoseconds. Raises InvalidInput for no such bucket."""
    if not 0 <= bucket < BUCKETS:
        raise InvalidInput("bucket", f"there are {BUCKETS} buckets")
    if bucket < 8:
        return bucket
    power, following = bucket // 8 + 2, bucket % 8
    return ((9 + following) << (power - 3)) - 1


def quantile(buckets: Sequence[int] | NDArray[np.uint64], q: float) -> int:
    """The upper bound of the bucket that holds the quantile, in nanoseconds; 0 of no values.

    `buckets` holds BUCKETS counts. Raises InvalidInput for another length or a q outside [0, 1].
    """
    if len(buckets) != BUCKETS:
        raise InvalidInput("buckets", f"there are {BUCKETS} of them")
    if not 0 <= q <= 1:
        raise InvalidInput("q", "must be from 0 to 1")
    reached = np.cumsum(np.asarray(buckets, dtype=np.uint64))
    count = int(reached[-1])
    if count == 0:
        return 0
    rank = max(1, math.ceil(q * count))
    return upper_bound(int(np.searchsorted(reached, rank)))
