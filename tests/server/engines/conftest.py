from collections.abc import Mapping
from pathlib import Path

import pytest

from budgetmem import assets
from budgetmem.errors import AssetError
from server.engines import open_engine

SMALLEST = "smollm2-135m"


@pytest.fixture(scope="session")
def smallest_weights() -> Path:
    try:
        return assets.asset_dir(SMALLEST)
    except AssetError as exc:
        pytest.skip(f"asset {SMALLEST} is not installed: {exc}")


@pytest.fixture(scope="session")
def opened(smallest_weights):
    """Opens an engine on the smallest model; all are closed at the end."""
    engines = []

    def open_one(engine: str, options: Mapping[str, str]):
        engines.append(open_engine(engine, smallest_weights, options, f"test-{engine}"))
        return engines[-1]

    yield open_one
    for engine in engines:
        engine.close(5)
