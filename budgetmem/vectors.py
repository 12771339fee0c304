"""Directions of sentence embeddings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from budgetmem.backbone import Vectors


def mean_direction(vectors: Sequence[Vectors]) -> Vectors:
    """The mean of at least one vector [dimension], L2-normalised: float32 [dimension]."""
    mean = np.mean(vectors, axis=0)
    return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-12), dtype=np.float32)
