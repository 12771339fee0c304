"""What every kind of source has in common."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from budgetmem.assets.catalogue import File, HubSource, PackageSource
from budgetmem.assets.progress import Progress

SourceT_contra = TypeVar("SourceT_contra", bound=HubSource | PackageSource, contravariant=True)


class SourceFailed(Exception):
    """This source cannot deliver; the next one is tried. Never leaves the package."""


class Fetcher(Protocol[SourceT_contra]):
    """Delivers files from one kind of source. It checks no digests: the pull does."""

    def fetch(
        self,
        source: SourceT_contra,
        files: Sequence[File],
        downloads: Path,
        target: Path,
        progress: Progress,
    ) -> None:
        """Puts every one of `files` under `target`.

        What was received so far is kept in `downloads`, in a form from which a later call goes
        on. Raises SourceFailed with a reason.
        """

    def forget(self, source: SourceT_contra, files: Sequence[File], downloads: Path) -> None:
        """Removes what `fetch` kept of these files, because it is not what it should be."""
