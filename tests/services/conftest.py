"""A Triton of the tests' own, one for the whole session."""

import importlib.util
import shutil
from pathlib import Path

import pytest
import pytest_asyncio

from budgetmem.assets import asset_dir
from budgetmem.config import load_profile
from budgetmem.errors import AssetError
from budgetmem.tokens import ByteCounter
from budgetmem.triton import Channel, TritonBackbone
from server.render import render
from server.triton_process import EmbeddedTriton

FAKE_REPOSITORY = Path(__file__).parent / "model_repository"
FAKE_MODEL = "fake_vllm"


@pytest.fixture(scope="session")
def fake_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the fake repository: Python writes its caches beside the models it loads."""
    if importlib.util.find_spec("pytriton") is None:
        pytest.skip("needs nvidia-pytriton: pip install 'budgetmem[embedded]'")
    copy = tmp_path_factory.mktemp("fake") / "model_repository"
    shutil.copytree(FAKE_REPOSITORY, copy, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def fake_triton(fake_repository):
    async with EmbeddedTriton(fake_repository, start_timeout_s=60, stop_timeout_s=4) as triton:
        yield triton


@pytest.fixture(scope="session")
def needs_tiny():
    """Skips where the profile `tiny` cannot be served: without Triton, or without its weights."""
    pytest.importorskip("pytriton", exc_type=ImportError)
    for asset in load_profile("tiny").assets:
        try:
            asset_dir(asset)
        except AssetError as exc:
            pytest.skip(f"{exc}")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def tiny_triton(needs_tiny, tmp_path_factory):
    """The address of a Triton with the real weights of the profile `tiny`."""
    profile = load_profile("tiny")
    repository = tmp_path_factory.mktemp("tiny")
    render(profile, repository)
    async with EmbeddedTriton(repository, start_timeout_s=240) as triton:
        yield triton.url


@pytest_asyncio.fixture(loop_scope="session")
async def channel(fake_triton):
    channel = Channel(fake_triton.url)
    yield channel
    await channel.close()


@pytest.fixture
def backbone(channel) -> TritonBackbone:
    return TritonBackbone(channel, FAKE_MODEL, ByteCounter(), patience_s=1.0)
