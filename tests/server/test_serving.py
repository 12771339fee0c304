"""The server's life with a fake Triton and a fake engine."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client.parser import text_string_to_metric_families

from budgetmem import bundled_routers, triton
from budgetmem.backbone import HashEncoder, ScriptedBackbone, ScriptedTagger
from budgetmem.client import AsyncClient
from budgetmem.config import load_profile
from budgetmem.errors import (
    AssetError,
    BackboneError,
    BackboneUnavailable,
    ConfigError,
    InvalidInput,
    ServerUnavailable,
    Unauthenticated,
)
from budgetmem.info import Limits
from budgetmem.scheduling.tier_scheduler import SchedulerStats
from budgetmem.tiers import Tier
from server import serving
from server.canary import Canaries
from server.engine import Engine
from server.observability.options import ObservabilityOptions
from server.security.api_keys import new_key
from server.security.key_file import change_keys
from server.security.principal import Scope
from server.serving import Options, run
from tests.router_folders import UNTRAINED, write_router
from tests.server.fake_engine import INFO, FakeHistories, FakePipeline, FakeRouters


class FakeTriton:
    """An EmbeddedTriton that loads, dies and comes back on command."""

    url = "127.0.0.1:9"

    def __init__(self, log):
        self.log = log
        self.loaded = asyncio.Event()
        self.dead = asyncio.Event()

    def __call__(self, repository, *, on_progress, on_trouble):
        on_progress(["encoder"], ["encoder", "tagger"])
        return self

    async def __aenter__(self):
        await self.loaded.wait()
        self.log.append("loaded")
        return self

    async def __aexit__(self, *_):
        self.log.append("triton stopped")

    async def wait_exit(self):
        await self.dead.wait()
        return -9

    def give_up(self, model):
        self.log.append(f"{model} given up")
        self.dead.set()

    async def restart(self):
        self.loaded.clear()
        self.dead.clear()
        await self.loaded.wait()
        self.log.append("restarted")


class House:
    """`run` with everything below it faked, and what it said and did."""

    def __init__(self, tmp_path, monkeypatch):
        self.log: list[str] = []
        self.port_file = tmp_path / "port"
        self.pipeline = FakePipeline()
        self.triton = FakeTriton(self.log)
        self.backbone = ScriptedBackbone(lambda _: "")
        self.options = Options(
            "tiny", tmp_path / "data", "127.0.0.1", 0, port_file=self.port_file, drain_s=5
        )

        async def connect(profile, url, asset_folder):
            return SimpleNamespace(
                backbones=dict.fromkeys(profile.backbones, self.backbone),
                encoder=HashEncoder(),
                tagger=ScriptedTagger(),
                close=self.close,
            )

        @asynccontextmanager
        async def open_scheduler(profile, tracer):
            try:
                yield SimpleNamespace(stats=lambda: SchedulerStats({}, {}, {}, {}))
            finally:
                self.log.append("scheduler closed")

        def build_engine(*_, routers, **__):
            self.routers = routers
            return Engine(FakeHistories(), self.pipeline, INFO, FakeRouters())

        monkeypatch.setattr(serving, "asset_dir", lambda name: tmp_path)
        monkeypatch.setattr(serving, "render", lambda profile, folder: ())
        monkeypatch.setattr(serving, "EmbeddedTriton", self.triton)
        monkeypatch.setattr(serving, "open_scheduler", open_scheduler)
        monkeypatch.setattr(serving, "build_engine", build_engine)
        monkeypatch.setattr(triton, "connect", connect)

    async def close(self):
        self.log.append("models closed")

    def start(self, options=None):
        return asyncio.create_task(run(options or self.options, self.log.append))

    async def address(self):
        while not self.port_file.exists() or not self.port_file.read_text().endswith("\n"):
            await asyncio.sleep(0.01)
        return f"127.0.0.1:{self.port_file.read_text().strip()}"


@pytest.fixture
async def house(tmp_path, monkeypatch):
    return House(tmp_path, monkeypatch)


async def health_becomes(address, wanted):
    async def poll():
        while await status(address) != wanted:
            await asyncio.sleep(0.01)

    await asyncio.wait_for(poll(), 30)


async def status(address):
    async with grpc.aio.insecure_channel(address) as channel:
        reply = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
        return health_pb2.HealthCheckResponse.ServingStatus.Name(reply.status)


async def test_it_listens_at_once_serves_when_loaded_and_drains_on_sigterm(house):
    life = house.start()
    address = await house.address()
    assert await status(address) == "NOT_SERVING"
    async with AsyncClient(address, timeout_s=5) as client:
        with pytest.raises(ServerUnavailable, match="starting"):
            await client.extract("trip", "When?")
        house.triton.loaded.set()
        await health_becomes(address, "SERVING")
        assert house.log[-1].startswith(f"ready on {address} in ")
        house.pipeline.takes_s = 0.3
        call = asyncio.create_task(client.extract("trip", "When?"))
        while not house.pipeline.requests:
            await asyncio.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)
        assert (await call).text == "Ana booked in May."
    await life
    assert house.log[2:] == ["scheduler closed", "models closed", "triton stopped"]


async def test_a_resolver_that_hangs_holds_up_no_work(house, monkeypatch):
    asked, let_go = threading.Event(), threading.Event()

    def hang(*_):
        asked.set()
        let_go.wait(60)
        raise socket.gaierror("no such host")

    life = house.start()
    await house.address()
    monkeypatch.setattr(socket, "getaddrinfo", hang)
    looking = asyncio.create_task(asyncio.get_running_loop().getaddrinfo("idp.example", 443))
    while not asked.is_set():
        await asyncio.sleep(0.001)
    assert await asyncio.wait_for(asyncio.to_thread(lambda: "searched"), 30) == "searched"
    assert not looking.done()
    let_go.set()
    with pytest.raises(socket.gaierror):
        await looking
    os.kill(os.getpid(), signal.SIGTERM)
    await life


async def test_a_triton_that_dies_is_started_anew(house):
    house.triton.loaded.set()
    life = house.start()
    address = await house.address()
    await health_becomes(address, "SERVING")
    house.triton.dead.set()
    await health_becomes(address, "NOT_SERVING")
    house.triton.loaded.set()
    await health_becomes(address, "SERVING")
    assert house.log[-1] == "restarted"
    os.kill(os.getpid(), signal.SIGINT)
    await life


def with_hasty_canaries(monkeypatch):
    hasty = partial(Canaries, idle_s=0.0, every_s=0.01, patience_s=0.2)
    monkeypatch.setattr(serving, "Canaries", hasty)


async def test_a_model_that_answers_no_more_has_triton_started_anew(house, monkeypatch):
    """Its process is there, and stopped or in a deadlock: nothing else would end."""
    with_hasty_canaries(monkeypatch)
    house.triton.loaded.set()
    life = house.start()
    address = await house.address()
    await health_becomes(address, "SERVING")
    answers, house.backbone.generate = house.backbone.generate, never
    await health_becomes(address, "NOT_SERVING")
    assert [line for line in house.log if "given up" in line] == ["all given up"]
    house.backbone.generate = answers
    house.triton.loaded.set()
    await health_becomes(address, "SERVING")
    assert house.log[-1] == "restarted"
    os.kill(os.getpid(), signal.SIGINT)
    await life


async def never(request, on_first_token=None):
    await asyncio.sleep(600)


async def garble(request, on_first_token=None):
    raise BackboneError("low at 127.0.0.1:9 sent what cannot be read")


async def empty(request, on_first_token=None):
    raise BackboneError("low at 127.0.0.1:9 ended a reply with the reason None and 0 tokens")


@pytest.mark.parametrize("fault", [garble, empty])
async def test_a_model_that_answers_garbage_or_nothing_ends_nobody(house, monkeypatch, fault):
    with_hasty_canaries(monkeypatch)
    watched = replace(house.options, observability=ObservabilityOptions(metrics_port=0))
    house.triton.loaded.set()
    life = house.start(watched)
    address = await house.address()
    await health_becomes(address, "SERVING")
    house.backbone.generate = fault
    while await worst_breaker(house) == 0:
        await asyncio.sleep(0.01)
    assert not life.done()
    assert await status(address) == "SERVING"
    async with AsyncClient(address, timeout_s=5) as client:
        assert (await client.extract("trip", "When?")).text
    os.kill(os.getpid(), signal.SIGINT)
    await life


async def samples(house):
    """What /metrics says, by the address that was announced."""
    [address] = [line.removeprefix("metrics on ") for line in house.log if "metrics" in line]
    async with httpx.AsyncClient() as client:
        text = (await client.get(address)).text
    return [each for family in text_string_to_metric_families(text) for each in family.samples]


async def scraped(house):
    return {sample.name: sample.value for sample in await samples(house)}


async def worst_breaker(house):
    return max(each.value for each in await samples(house) if "breaker_state" in each.name)


async def test_metrics_are_served_from_the_start_and_tell_of_restarts(house):
    watched = replace(house.options, observability=ObservabilityOptions(metrics_port=0))
    life = house.start(watched)
    address = await house.address()
    assert (await scraped(house))["budgetmem_ready"] == 0
    house.triton.loaded.set()
    await health_becomes(address, "SERVING")
    found = await scraped(house)
    assert (found["budgetmem_ready"], found["budgetmem_triton_restarts_total"]) == (1, 0)
    assert found["budgetmem_router_info"] == found["budgetmem_build_info"] == 1
    house.triton.dead.set()
    await health_becomes(address, "NOT_SERVING")
    found = await scraped(house)
    assert (found["budgetmem_ready"], found["budgetmem_triton_restarts_total"]) == (0, 1)
    os.kill(os.getpid(), signal.SIGTERM)
    await life
    with pytest.raises(httpx.ConnectError):
        await scraped(house)


async def test_a_call_is_counted_by_the_server_that_was_asked_for_metrics(house):
    house.triton.loaded.set()
    watched = replace(house.options, observability=ObservabilityOptions(metrics_port=0))
    life = house.start(watched)
    address = await house.address()
    await health_becomes(address, "SERVING")
    async with AsyncClient(address, timeout_s=5) as client:
        await client.extract("trip", "When?")
    found = await scraped(house)
    assert found["budgetmem_requests_total"] == 1
    assert found["budgetmem_steps_total"] == 1
    os.kill(os.getpid(), signal.SIGTERM)
    await life


async def test_a_signal_while_loading_stops(house):
    life = house.start()
    await house.address()
    os.kill(os.getpid(), signal.SIGTERM)
    await life
    assert house.log == []


async def test_a_triton_elsewhere_is_used_as_it_is(house):
    life = house.start(
        Options("tiny", house.options.data_dir, "127.0.0.1", 0, "gpu:8001", house.port_file)
    )
    address = await house.address()
    await health_becomes(address, "SERVING")
    os.kill(os.getpid(), signal.SIGTERM)
    await life
    assert "loaded" not in house.log


async def test_a_triton_that_does_not_come_up_is_told(house, monkeypatch):
    async def fail(self):
        raise BackboneUnavailable("Triton ended with code 1")

    monkeypatch.setattr(FakeTriton, "__aenter__", fail)
    with pytest.raises(BackboneUnavailable, match="code 1"):
        await house.start()


async def test_an_unknown_profile_and_a_missing_asset_are_told_before_listening(house, monkeypatch):
    with pytest.raises(ConfigError, match="no profile 'nope'"):
        await house.start(Options("nope", house.options.data_dir, "127.0.0.1", 0))

    def missing(name):
        raise AssetError(f"{name} is missing")

    monkeypatch.setattr(serving, "asset_dir", missing)
    with pytest.raises(AssetError, match="is missing"):
        await house.start()
    assert not house.port_file.exists()


async def test_the_routers_that_were_named_get_to_the_engine(house, tmp_path):
    version = write_router(tmp_path / "capacity")
    house.triton.loaded.set()
    life = house.start(replace(house.options, routers=(tmp_path / "capacity",)))
    await health_becomes(await house.address(), "SERVING")
    assert house.routers.of("capacity").version == version
    os.kill(os.getpid(), signal.SIGTERM)
    await life


async def test_a_network_is_refused_before_listening(house):
    with pytest.raises(ConfigError, match="other machines can reach"):
        await house.start(replace(house.options, host="0.0.0.0"))
    assert not house.port_file.exists()
    assert house.log == []


async def test_a_file_for_the_port_that_cannot_be_written_is_told(house, tmp_path):
    nowhere = tmp_path / "nowhere" / "port"
    with pytest.raises(ConfigError, match=f"cannot write the port to {nowhere}: No such file"):
        await house.start(replace(house.options, port_file=nowhere))
    assert house.log == []


@pytest.mark.usefixtures("ipv6")
async def test_a_server_on_an_address_of_ipv6_says_so_with_brackets(house):
    house.triton.loaded.set()
    life = house.start(replace(house.options, host="::1"))
    port = (await house.address()).rpartition(":")[2]
    await health_becomes(f"[::1]:{port}", "SERVING")
    os.kill(os.getpid(), signal.SIGTERM)
    await life
    assert any(line.startswith(f"ready on [::1]:{port} in ") for line in house.log)


async def test_a_key_in_the_data_folder_closes_the_server(house):
    key, record = new_key("acme", [Scope.READ], datetime.now(timezone.utc))
    change_keys(house.options.data_dir / "keys.json", lambda keys: (*keys, record))
    house.triton.loaded.set()
    life = house.start(replace(house.options, limits=Limits(message_bytes=2048)))
    address = await house.address()
    await health_becomes(address, "SERVING")
    async with AsyncClient(address, timeout_s=5) as stranger:
        with pytest.raises(Unauthenticated):
            await stranger.info()
    async with AsyncClient(address, timeout_s=5, api_key=key) as client:
        await client.extract("trip", "When?")
        with pytest.raises(InvalidInput, match="larger than max"):
            await client.extract("trip", "When?" * 2048)
    assert house.pipeline.requests[0].tenant == "acme"
    os.kill(os.getpid(), signal.SIGTERM)
    await life


@pytest.fixture
def bundle(tmp_path, monkeypatch):
    """Routers as if they came with the package, for `tiny`: the version of each by its strategy."""
    monkeypatch.setattr(bundled_routers, "ROUTERS", tmp_path / "package")
    folder = tmp_path / "package" / "tiny"
    strategies = ("capacity", "reasoning")
    return {each: write_router(folder / each, each, profile="tiny") for each in strategies}


async def versions(house, **changes):
    """Of the routers that get to the engine, for some changed options."""
    house.triton.loaded.set()
    life = house.start(replace(house.options, **changes))
    await health_becomes(await house.address(), "SERVING")
    os.kill(os.getpid(), signal.SIGTERM)
    await life
    return house.routers.versions()


async def test_bundled_routers_serve_unasked(house, bundle):
    assert await versions(house) == UNTRAINED | bundle


async def test_a_named_router_takes_the_place_of_the_bundled_one(house, bundle, tmp_path):
    mine = write_router(tmp_path / "mine", "capacity", Tier.HIGH, profile="tiny")
    assert mine != bundle["capacity"]
    served = await versions(house, routers=(tmp_path / "mine",))
    assert served == UNTRAINED | bundle | {"capacity": mine}


async def test_without_the_bundled_ones_a_router_is_served_by_its_name(house, bundle):
    served = await versions(house, routers=(Path("tiny/capacity"),), bundled_routers=False)
    assert served == dict.fromkeys(served, "fixed-mid") | {"capacity": bundle["capacity"]}


async def test_a_faulty_router_is_told_before_listening(house, tmp_path):
    options = replace(house.options, routers=(tmp_path / "no-router",))
    with pytest.raises(ConfigError, match="no-router"):
        await house.start(options)
    assert not house.port_file.exists()
    assert house.log == []


async def test_models_that_the_embedded_triton_has_no_backend_for_are_told_at_once(house):
    with pytest.raises(ConfigError, match=r"no vLLM .*--triton-url"):
        await house.start(replace(house.options, profile="gpu"))
    assert not house.port_file.exists()
    assert house.log == []


async def test_whoever_connects_to_them_is_told_too(house):
    house.triton.loaded.set()
    with pytest.raises(ConfigError, match=r"no vLLM .*--triton-url"):
        async with serving.connected(load_profile("gpu")):
            pass


def test_a_triton_elsewhere_needs_no_weights_here(monkeypatch):
    asked = []
    monkeypatch.setattr(serving, "asset_dir", asked.append)
    profile = load_profile("tiny")
    serving.check_assets(profile, embedded=False)
    assert asked == []
    serving.check_assets(profile, embedded=True)
    assert asked == list(profile.assets)
