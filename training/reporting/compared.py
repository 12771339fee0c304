"""A split's results, and what its routers are compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from budgetmem.errors import ConfigError
from training.reporting.arm_names import BLIND, NO_MEMORY, constants, plain, routed
from training.reporting.figures import Figures
from training.reporting.frontier import Outcome, frontier


@dataclass(frozen=True)
class Compared:
    """Results of a split, and the constants that a service may mix without a router.

    The constants are those on the frontier of the validation split, if that was evaluated, and
    all of them, known after the fact, if it was not (`chosen` says which). `heading` tells these
    results from the others of a page.
    """

    figures: Figures
    mixable: Sequence[str]
    validation: Figures | None = None
    chosen: bool = False
    heading: str = ""

    @property
    def routers(self) -> Mapping[str, Mapping[float, str]]:
        """Every router's ways of answering, by label and lambda; the blind ones too."""
        return routed(self.figures.head.arms)

    def is_blind(self, label: str) -> bool:
        """Whether it sees lambda alone: its card says so, or it is called BLIND."""
        held = self.figures.head.routers.get(label, ())
        return label == BLIND or (bool(held) and all(each.blind for each in held))

    @property
    def seeing(self) -> Mapping[str, Mapping[float, str]]:
        """Those of the routers that read the question."""
        return {label: arms for label, arms in self.routers.items() if not self.is_blind(label)}

    @property
    def mixtures(self) -> Mapping[str, Outcome]:
        """What the constants that may be mixed came to."""
        return self.figures.outcomes(self.mixable)

    @property
    def constants(self) -> Mapping[str, Outcome]:
        """What all constants came to."""
        return self.figures.outcomes(constants(self.figures.head.arms))

    @property
    def not_validated(self) -> Sequence[str]:
        """Constants and plain retrievals that could not be chosen on validation: they were not
        evaluated there."""
        arms = self.figures.head.arms
        if self.validation is None:
            return ()
        known = self.validation.head.arms
        return [arm for arm in (*constants(arms), *plain(arms)) if arm not in known]

    @property
    def blind(self) -> Mapping[str, Outcome]:
        """What the routers that see lambda alone came to."""
        arms = [
            a for label, held in self.routers.items() if self.is_blind(label) for a in held.values()
        ]
        return self.figures.outcomes(arms)

    @property
    def plain(self) -> Mapping[str, Outcome]:
        """What retrieval alone came to."""
        return self.figures.outcomes(plain(self.figures.head.arms))

    @property
    def fixed(self) -> Mapping[str, Outcome]:
        """What all came to that has neither a question nor lambda to go by."""
        arms = [arm for arm in (NO_MEMORY,) if arm in self.figures.head.arms]
        return {**self.figures.outcomes(arms), **self.plain, **self.constants}


def compared(figures: Figures, validation: Figures | None, heading: str = "") -> Compared:
    """Picks the constants. Raises ConfigError if the split lacks one of those of the validation."""
    here = constants(figures.head.arms)
    best: Sequence[str] = ()
    if validation is not None:
        best = frontier(validation.outcomes(constants(validation.head.arms)))
    if missing := sorted(set(best) - set(here)):
        raise ConfigError(
            f"{heading}: {', '.join(missing)}: among the best on validation, and not evaluated "
            f"here: training/evaluate.py --baselines {','.join(missing)} adds what is missing"
        )
    return Compared(figures, best or here, validation, bool(best), heading)
