"""Trained routers that questions are asked with: opened, checked, and each at the lambdas it takes.

All of it is done before a model is opened.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from budgetmem.bundled_routers import router_folder
from budgetmem.config import Profile
from budgetmem.errors import ConfigError
from budgetmem.router import Routers
from budgetmem.router_artifact import read_card
from server.routers import serving_routers
from training.arms import Routed
from training.reporting.trained import Trained, of_card

BUNDLED = "bundled"
"""What a router is called that comes with the package, unless it is given a name."""

_LABEL = re.compile(r"[\w.-]{1,64}")


@dataclass(frozen=True)
class Entrant:
    """A router under a label, open as it serves."""

    label: str
    trained: Trained
    routers: Routers

    def cost_weights(self, wanted: Sequence[float]) -> tuple[float, ...]:
        """Those that it takes; of a router for one lambda alone that one, whatever is wanted.

        Raises ConfigError if there is none.
        """
        low, high = self.trained.cost_weights or (0.0, math.inf)
        if low == high:
            return (low,)
        taken = tuple(each for each in dict.fromkeys(wanted) if low <= each <= high)
        if not taken:
            raise ConfigError(
                f"{self.label} takes lambdas from {low:g} to {high:g}, and --cost-weights has none "
                "of these"
            )
        return taken

    def arms(self, wanted: Sequence[float]) -> list[Routed]:
        """Itself at each lambda. Raises as `cost_weights`."""
        return [Routed(self.label, self.routers, each) for each in self.cost_weights(wanted)]

    def notes(self, wanted: Sequence[float], sha256: str, split: str) -> Iterable[str]:
        """What whoever reads its results should know: lambdas that are left out, and whether it
        learned from the split that it is evaluated on."""
        taken = self.cost_weights(wanted)
        if left := [f"{each:g}" for each in dict.fromkeys(wanted) if each not in taken]:
            told = ", ".join(f"{each:g}" for each in taken)
            yield f"{self.label} is asked at lambda {told}: it does not take {', '.join(left)}"
        if self.trained.learned_from(sha256, split):
            yield f"warning: {self.label} was trained on the {split} split of these very data"


async def opened(text: str, profile: Profile, strategy: str, stack: AsyncExitStack) -> Entrant:
    """The router that `--router TEXT` names, until the stack is closed.

    Raises ConfigError for a label that cannot be one, a router that cannot serve, or one of another
    strategy.
    """
    label, named = named_folder(text)
    folder = router_folder(named)
    served = await stack.enter_async_context(serving_routers(profile, [folder]))
    if strategy not in served.cost_weights():
        raise ConfigError(f"{named} is no router of the strategy {strategy!r}")
    return Entrant(label, of_card(read_card(folder)), served)


def named_folder(text: str) -> tuple[str, Path]:
    """A label and a folder: `NAME=FOLDER`, or a folder alone, whose label is its own name.

    A folder that is there is never taken apart. Raises ConfigError for a label that cannot stand in
    the names of ways of answering, of folders and of charts.
    """
    name, equals, folder = text.partition("=")
    if Path(text).exists() or not equals:
        path = Path(text)
        label = path.resolve().name if path.exists() else BUNDLED
    else:
        label, path = name, Path(folder)
    if not _LABEL.fullmatch(label):
        raise ConfigError(
            f"--router: {label!r} cannot be a name: use letters, digits, '.', '_' and '-', "
            "NAME=FOLDER"
        )
    return label, path
