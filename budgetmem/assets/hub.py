"""Files from a Hugging Face hub, resumed where the last attempt ended.

The hub's address, token and offline switch are those of `huggingface_hub` (HF_ENDPOINT, HF_TOKEN,
HF_HUB_OFFLINE). Its own downloader is not used: it retries for minutes when there is no network.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import httpx
from huggingface_hub import constants, get_token, hf_hub_url

from budgetmem.assets.catalogue import File, HubSource
from budgetmem.assets.files import Advance
from budgetmem.assets.progress import Progress
from budgetmem.assets.sources import SourceFailed

TIMEOUT = httpx.Timeout(20, connect=3)
_SHA256_DIGITS = 64
_UNREACHABLE = "the hub is out of reach"


class HubFetcher:
    """Asks the hub until it proves out of reach; from then on refuses at once."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client
        self._reachable = not constants.HF_HUB_OFFLINE

    def fetch(
        self,
        source: HubSource,
        files: Sequence[File],
        downloads: Path,
        target: Path,
        progress: Progress,
    ) -> None:
        """See Fetcher. A file the hub announces under another digest is not downloaded."""
        if not self._reachable:
            raise SourceFailed(_UNREACHABLE)
        total = sum(file.size for file in files)
        with progress.stage(str(source), total, "bytes") as advance:
            for file in files:
                partial = _partial(downloads, file)
                self._complete(source, file, partial, advance)
                destination = target / file.name
                destination.parent.mkdir(parents=True, exist_ok=True)
                os.replace(partial, destination)

    def forget(self, source: HubSource, files: Sequence[File], downloads: Path) -> None:
        """See Fetcher."""
        for file in files:
            _partial(downloads, file).unlink(missing_ok=True)

    def _complete(self, source: HubSource, file: File, partial: Path, advance: Advance) -> None:
        path = source.path.format(name=file.name)
        url = hf_hub_url(source.repo, path, revision=source.revision)
        advance(_size(partial))
        while True:
            before = _size(partial)
            if before == file.size:
                partial.touch()
                return
            try:
                self._append(url, file, partial, advance)
            except httpx.TransportError as exc:
                if _size(partial) == before:
                    self._reachable = False
                    raise SourceFailed(f"{_UNREACHABLE}: {exc}") from exc

    def _append(self, url: str, file: File, partial: Path, advance: Advance) -> None:
        offset = _size(partial)
        headers = {"Accept-Encoding": "identity"}
        if token := get_token():
            headers["Authorization"] = f"Bearer {token}"
        if offset:
            headers["Range"] = f"bytes={offset}-"
        with self._client.stream("GET", url, headers=headers, follow_redirects=True) as response:
            self._check(response, file)
            resumed = response.status_code == httpx.codes.PARTIAL_CONTENT
            if offset and not resumed:
                advance(-offset)
            with partial.open("ab" if resumed else "wb") as stream:
                for block in response.iter_raw():
                    stream.write(block)
                    advance(len(block))
        if _size(partial) > file.size:
            partial.unlink()
            raise SourceFailed(f"{file.name} is longer than {file.size} bytes there")

    def _check(self, response: httpx.Response, file: File) -> None:
        if response.is_server_error:
            self._reachable = False
        if not response.is_success:
            raise SourceFailed(f"the hub answered {response.status_code} for {file.name}")
        first = response.history[0] if response.history else response
        announced = first.headers.get("x-linked-etag", "").strip('"')
        if len(announced) == _SHA256_DIGITS and announced != file.sha256:
            raise SourceFailed(f"{file.name} has another sha256 there: {announced}")


def _partial(downloads: Path, file: File) -> Path:
    return downloads / f"{file.sha256}.part"


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
