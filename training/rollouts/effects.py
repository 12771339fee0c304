"""What the paths that were not recorded would have scored, by a mixed model of those that were.

A score of a question on a path is the sum of fixed effects (one for each tier of each module), of
the question's own effect, of its own effects of each module's tier, and of a remainder. The
question's are random, each kind with a variance of its own, found by restricted maximum likelihood
(Patterson and Thompson, Biometrika 58, 1971); the estimate is the best linear unbiased prediction
(Henderson, Biometrics 31, 1975). So a question keeps what its recorded paths say of it, as far as
it is not noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from budgetmem.tiers import Tier
from training.rollouts.paths import EVERY_PATH, MODULE_COUNT

Floats = NDArray[np.float64]

SHRINKAGE = 1.0
"""Of the fixed effects, in units of the scores' variance: keeps those finite of which few paths
tell, and is nothing against hundreds of paths."""

LEAST, MOST = 1e-6, 4.0
"""Of a variance, in the same units: the search is kept where matrices can be factored."""

STEPS = 60
_BEGIN = (0.4, *[0.05] * MODULE_COUNT, 0.3)


@dataclass(frozen=True)
class Effects:
    """What was fitted to scores.

    `fixed` is float64 [1 + modules * 2]: of the path all on Low, and what the other tiers of each
    module add. `deviations` is float64 [modules + 2]: of the question's own effect, of those of
    each module's tiers, and of the remainder.
    """

    fixed: Floats
    deviations: Floats

    @staticmethod
    def fit(scores: Floats) -> Effects:
        """Of scores [n, 243], NaN where a path was not recorded; every question has one."""
        scale = float(np.nanstd(scores)) or 1.0
        data = _Padded.of(scores / scale)
        place = torch.logit(torch.tensor(_BEGIN, dtype=torch.float64) / MOST).requires_grad_()
        optimizer = torch.optim.LBFGS([place], max_iter=STEPS, line_search_fn="strong_wolfe")

        def loss() -> Tensor:
            optimizer.zero_grad()
            value, _ = data.likelihood(_variances(place))
            value.backward()  # type: ignore[no-untyped-call]
            return value

        optimizer.step(loss)  # type: ignore[no-untyped-call]
        with torch.no_grad():
            variances = _variances(place)
            _, fixed = data.likelihood(variances)
        return Effects(fixed.numpy() * scale, variances.sqrt().numpy() * scale)

    def estimate(self, scores: Floats) -> Floats:
        """Scores [n, 243] with what was not recorded filled in."""
        question, *modules, rest = self.deviations**2
        own = question + np.einsum("m,mij->ij", modules, _SAME)
        fixed = _DESIGN @ self.fixed
        filled = scores.copy()
        for row in filled:
            known = np.flatnonzero(~np.isnan(row))
            held = own[np.ix_(known, known)] + rest * np.eye(len(known))
            left = np.linalg.solve(held, row[known] - fixed[known])
            row[:] = np.where(np.isnan(row), fixed + own[:, known] @ left, row)
        return filled


@dataclass(frozen=True)
class _Padded:
    """The recorded paths of n questions, made equally many (k) with rows that count for nothing.

    `there` [n, k] is 1 for a path; `design` [n, k, columns], `scores` [n, k] and `same` [n,
    modules, k, k], which says of two paths whether a module has the same tier on them, are 0 where
    there is none.
    """

    there: Tensor
    design: Tensor
    scores: Tensor
    same: Tensor

    @staticmethod
    def of(scores: Floats) -> _Padded:
        known = [np.flatnonzero(~np.isnan(row)) for row in scores]
        most = max(map(len, known))
        paths = np.array([np.resize(each, most) for each in known])
        there = np.array([np.arange(most) < len(each) for each in known], dtype=np.float64)
        return _Padded(
            torch.from_numpy(there),
            torch.from_numpy(_DESIGN[paths] * there[..., None]),
            torch.from_numpy(np.take_along_axis(scores, paths, 1) * there),
            torch.from_numpy(np.stack([_SAME[:, each][:, :, each] for each in paths]))
            * torch.from_numpy(there[:, None, :, None] * there[:, None, None, :]),
        )

    def likelihood(self, variances: Tensor) -> tuple[Tensor, Tensor]:
        """Minus the restricted log-likelihood, up to a constant, and the fixed effects."""
        question, modules, rest = variances[0], variances[1:-1], variances[-1]
        both = self.there.unsqueeze(1) * self.there.unsqueeze(2)
        own = question * both + torch.einsum("m,nmij->nij", modules, self.same)
        held = own + torch.diag_embed(self.there * rest + 1 - self.there)
        root = torch.linalg.cholesky(held)
        design = torch.linalg.solve_triangular(root, self.design, upper=False)
        scores = torch.linalg.solve_triangular(root, self.scores.unsqueeze(2), upper=False)
        normal = (design.mT @ design).sum(0) + SHRINKAGE * torch.eye(design.shape[2])
        moments = (design.mT @ scores).sum(0)
        fixed = torch.linalg.solve(normal, moments)
        fit = (scores**2).sum() - (fixed * moments).sum()
        spread = 2 * torch.log(torch.diagonal(root, dim1=1, dim2=2)).sum()
        return (spread + fit + torch.logdet(normal)) / 2, fixed[:, 0]


def _variances(place: Tensor) -> Tensor:
    return LEAST + (MOST - LEAST) * torch.sigmoid(place)


def _columns(path: Sequence[int]) -> list[float]:
    dearer = list(Tier)[1:]
    return [1.0, *(float(tier == each) for tier in path for each in dearer)]


_DESIGN: Floats = np.array([_columns(path) for path in EVERY_PATH])
_SAME: Floats = np.stack([np.equal.outer(tiers, tiers) for tiers in EVERY_PATH.T]).astype(float)
