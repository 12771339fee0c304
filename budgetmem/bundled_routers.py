"""The trained routers that come with the package: `routers/PROFILE/STRATEGY/`, a folder each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path

from budgetmem.errors import ConfigError
from budgetmem.router_artifact import CARD_FILE, PACKAGES, read_card

ROUTERS = Path(__file__).with_name("routers")


def bundled_routers() -> Mapping[str, Path]:
    """Their folders by name, for example `small/capacity`; empty where none came along."""
    folders = sorted(card.parent for card in ROUTERS.glob(f"*/*/{CARD_FILE}"))
    return {folder.relative_to(ROUTERS).as_posix(): folder for folder in folders}


def router_folder(named: Path) -> Path:
    """The folder that is meant by a path or by the name of a bundled router.

    A folder on disk comes before a bundled router of that name. Raises ConfigError where there is
    neither.
    """
    if named.exists():
        return named
    bundled = bundled_routers()
    if named.as_posix() not in bundled:
        known = ", ".join(bundled) or "none"
        raise ConfigError(
            f"{named}: no such folder, nor a router that comes with the package ({known}): name a "
            "folder that has a trained router"
        )
    return bundled[named.as_posix()]


def with_bundled(profile: str, named: Iterable[Path]) -> list[Path]:
    """The folders that were named, then the bundled ones of the strategies that these leave.

    `profile` is what load_profile is given: a file of one's own has no bundled routers, whatever
    name is in it. Of the folders only the cards are read; whoever serves them checks the rest.

    Raises ConfigError for a folder without a sound card, and where bundled ones cannot run.
    """
    folders = list(named)
    taken = {read_card(folder).strategy for folder in folders}
    others = [
        folder
        for folder in bundled_routers().values()
        if folder.parent.name == profile and folder.name not in taken
    ]
    missing = [package for package in PACKAGES if find_spec(package) is None]
    if others and missing:
        raise ConfigError(
            f"the routers that come with the package need {' and '.join(missing)}: pip install "
            f"{' '.join(missing)}, or start with --no-bundled-routers"
        )
    return folders + others
