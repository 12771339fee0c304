"""How many items batches had, as a histogram of fixed size: a bucket to every power of two."""

from __future__ import annotations

BUCKETS = 12
"""Up to 1, 2, 4, ... 1024 items, the largest batch of a profile; the last is of all beyond."""


class BatchSizes:
    """Counts batches by their items. Another thread may read while one counts."""

    def __init__(self) -> None:
        self.buckets = [0] * BUCKETS
        self.items = 0

    def record(self, size: int) -> None:
        """One more batch, of at least one item."""
        self.buckets[min((size - 1).bit_length(), BUCKETS - 1)] += 1
        self.items += size
