from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from budgetmem.assets.catalogue import File, HubSource
from budgetmem.assets.hub import HubFetcher
from budgetmem.assets.progress import Silent
from budgetmem.assets.sources import SourceFailed
from tests.assets.conftest import WHOLE, sha256

SOURCE = HubSource(kind="hub", repo="org/weights", path="gguf/{name}", revision="v1")
FILE = File(name="model.bin", size=len(WHOLE), sha256=sha256(WHOLE))


class Hub:
    """A hub that serves WHOLE with ranges; `cut` ends the first answer after so many bytes."""

    def __init__(self, cut: int | None = None, etag: str = "", status: int = 200) -> None:
        self.cut, self.etag, self.status = cut, etag, status
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if self.status != 200:
            return httpx.Response(self.status)
        asked = request.headers.get("range", "bytes=0-")
        offset = int(asked.removeprefix("bytes=").removesuffix("-"))
        headers = {"x-linked-etag": f'"{self.etag}"'} if self.etag else {}
        status = 206 if offset else 200
        return httpx.Response(status, headers=headers, content=self._body(WHOLE[offset:]))

    def _body(self, content: bytes) -> Iterator[bytes]:
        cut, self.cut = self.cut, None
        yield content[:cut]
        if cut is not None:
            raise httpx.ReadError("connection reset")


def fetch(hub: Hub, folder: Path, times: int = 1) -> None:
    downloads, build = folder / "downloads", folder / "build"
    downloads.mkdir(exist_ok=True)
    with httpx.Client(transport=httpx.MockTransport(hub)) as client:
        fetcher = HubFetcher(client)
        for _ in range(times - 1):
            with pytest.raises(SourceFailed):
                fetcher.fetch(SOURCE, [FILE], downloads, build, Silent())
        fetcher.fetch(SOURCE, [FILE], downloads, build, Silent())


def test_a_file_arrives_under_its_name(tmp_path: Path) -> None:
    hub = Hub(etag=FILE.sha256)
    fetch(hub, tmp_path)
    assert (tmp_path / "build" / "model.bin").read_bytes() == WHOLE
    assert hub.requests[0].url.path == "/org/weights/resolve/v1/gguf/model.bin"


def test_a_lost_connection_is_resumed_while_bytes_come(tmp_path: Path) -> None:
    hub = Hub(cut=5)
    fetch(hub, tmp_path)
    assert (tmp_path / "build" / "model.bin").read_bytes() == WHOLE
    assert [request.headers.get("range") for request in hub.requests] == [None, "bytes=5-"]


def test_an_earlier_run_is_resumed(tmp_path: Path) -> None:
    hub = Hub()
    (tmp_path / "downloads").mkdir()
    (tmp_path / "downloads" / f"{FILE.sha256}.part").write_bytes(WHOLE[:7])
    fetch(hub, tmp_path)
    assert (tmp_path / "build" / "model.bin").read_bytes() == WHOLE
    assert hub.requests[0].headers["range"] == "bytes=7-"


def test_another_announced_digest_is_not_downloaded(tmp_path: Path) -> None:
    hub = Hub(etag="0" * 64)
    with pytest.raises(SourceFailed, match="another sha256 there"):
        fetch(hub, tmp_path)
    assert list((tmp_path / "downloads").iterdir()) == []


def test_a_file_that_is_not_there_leaves_the_hub_usable(tmp_path: Path) -> None:
    hub = Hub(status=404)
    with pytest.raises(SourceFailed, match=r"answered 404 for model\.bin"):
        fetch(hub, tmp_path, times=2)
    assert len(hub.requests) == 2


@pytest.mark.parametrize("hub", [Hub(cut=0), Hub(status=503)], ids=["reset", "503"])
def test_a_hub_out_of_reach_is_asked_once(tmp_path: Path, hub: Hub) -> None:
    with pytest.raises(SourceFailed, match="out of reach"):
        fetch(hub, tmp_path, times=2)
    assert len(hub.requests) == 1


def test_a_longer_file_is_refused(tmp_path: Path) -> None:
    short = File(name="model.bin", size=4, sha256=FILE.sha256)
    (tmp_path / "downloads").mkdir()
    with httpx.Client(transport=httpx.MockTransport(Hub())) as client:
        fetcher = HubFetcher(client)
        with pytest.raises(SourceFailed, match="longer than 4 bytes"):
            fetcher.fetch(SOURCE, [short], tmp_path / "downloads", tmp_path, Silent())
