"""Connections are bounded, and leave files for the work on calls: in processes with few of them."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from budgetmem.client import AsyncClient
from budgetmem.proto.budgetmem.v1 import memory_pb2 as pb
from budgetmem.proto.budgetmem.v1.memory_pb2_grpc import MemoryServiceStub
from budgetmem.types import Turn
from server.doors import Doors
from server.engine import Engine
from tests.server.fake_engine import INFO, FakeHistories, FakePipeline, FakeRouters
from tests.server.half_open import GREETING, crowd, some

MOST = 8


def fresh(address):
    """A channel that shares its connections with no other."""
    return grpc.aio.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)])


async def is_asked(channel, **options):
    stub = health_pb2_grpc.HealthStub(channel)
    return await stub.Check(health_pb2.HealthCheckRequest(), timeout=30, **options)


@asynccontextmanager
async def greeting(port, count):
    """Connections without any credential, until the block ends; says how many were let in."""
    async with crowd(port, count, GREETING) as readers:
        yield sum(map(bool, await asyncio.gather(*(some(reader, 20) for reader in readers))))


@pytest.fixture
async def doors():
    doors = Doors(connections=MOST)
    yield doors
    await doors.close(0)


async def test_more_connections_are_closed_and_calls_on_others_go_on(doors):
    address = f"127.0.0.1:{(port := await doors.open('127.0.0.1', 0))}"
    pipeline = FakePipeline(takes_s=0.1)
    await doors.serve(Engine(FakeHistories(), pipeline, INFO, FakeRouters()))
    async with fresh(address) as early:
        call = MemoryServiceStub(early).ExtractStream(pb.ExtractRequest(history="h", query="q"))
        await call.read()
        async with greeting(port, 3 * MOST) as let_in:
            assert let_in == MOST - 1
            rest = [(await call.read()).WhichOneof("event") for _ in range(3)]
            assert rest == ["module_done", "module_done", "memory"]
            await is_asked(early)
            async with fresh(address) as late:
                with pytest.raises(grpc.aio.AioRpcError) as refused:
                    await is_asked(late)
                assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        async with fresh(address) as late:
            await is_asked(late, wait_for_ready=True)


async def test_the_other_door_of_the_process_is_let_in_all_the_same(doors, tmp_path):
    port = await doors.open("127.0.0.1", 0, tmp_path / "grpc")
    async with greeting(port, 3 * MOST) as let_in, fresh(f"unix:{tmp_path}/grpc") as inside:
        assert let_in == MOST
        await is_asked(inside)


def printed(script, *arguments):
    """What a process of its own says: a limit of files that was lowered cannot be raised again."""
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)


LIMITED = """
import sys
from resource import RLIMIT_NOFILE, getrlimit, setrlimit
from server.connections import connections_of_each

soft, hard, wanted, doors = map(int, sys.argv[1:])
setrlimit(RLIMIT_NOFILE, (soft, hard))
print(connections_of_each(wanted, doors), getrlimit(RLIMIT_NOFILE)[0])
"""


@pytest.mark.parametrize(
    ("limits", "wanted", "doors", "room", "raised"),
    [
        ((100, 800), 300, 1, 300, 400),
        ((100, 800), 300, 2, 300, 800),
        ((700, 800), 300, 1, 300, 700),
        ((100, 400), 300, 2, 150, 400),
        ((100, 400), 4096, 1, 300, 400),
        ((100, 100), 20, 2, 20, 100),
    ],
)
def test_connections_leave_a_quarter_of_the_files(limits, wanted, doors, room, raised):
    said = printed(LIMITED, *limits, wanted, doors)
    assert said.stdout.split() == [str(room), str(raised)]
    assert ("ulimit -Hn" in said.stderr) == (room < wanted)


SERVER = """
import asyncio, sys
from pathlib import Path
from resource import RLIMIT_NOFILE, setrlimit

from budgetmem.backbone import HashEncoder
from budgetmem.config import RetrievalProfile
from budgetmem.history import Histories
from budgetmem.store.sqlite import SqliteStore
from server.connections import connections_of_each
from server.doors import Doors
from server.engine import Engine
from tests.server.fake_engine import INFO, FakePipeline, FakeRouters

async def main():
    setrlimit(RLIMIT_NOFILE, (300, 300))
    doors = Doors(connections=connections_of_each(4096, 1))
    histories = Histories(SqliteStore(Path(sys.argv[1])), HashEncoder(), RetrievalProfile())
    port = await doors.open("127.0.0.1", 0)
    await doors.serve(Engine(histories, FakePipeline(), INFO, FakeRouters()))
    print(port, flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await doors.close(0)

asyncio.run(main())
"""


async def test_a_crowd_without_credentials_takes_no_file_from_the_store(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", SERVER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    ) as process:
        port = int(await asyncio.to_thread(process.stdout.readline))
        async with AsyncClient(f"127.0.0.1:{port}", timeout_s=30) as client:
            await client.ingest("trip", [Turn("t1", "Ana", "Hello.")])
            async with greeting(port, 400) as let_in:
                assert 100 < let_in < 300 * 3 / 4
                for number in range(10):
                    await client.ingest(f"h{number}", [Turn("t1", "Ana", "Hello.")])
                assert len(await client.histories()) == 11
        process.stdin.close()
    assert process.returncode == 0
