"""The folders of routers, by real artifacts."""

from __future__ import annotations

import asyncio
import shutil

import pytest

from budgetmem.config import load_profile
from budgetmem.errors import ConfigError
from budgetmem.info import CostWeights, RouterVersion
from budgetmem.tiers import STRATEGIES, Tier
from server import routers as served
from server.routers import ServedRouters, serving_routers
from tests.router_folders import UNTRAINED, write_router

LOW, MID, HIGH = Tier
PROFILE = load_profile("small")


@pytest.fixture
def folders(tmp_path):
    return {name: tmp_path / name for name in ("capacity", "reasoning")}


@pytest.fixture
def old(folders):
    return {name: write_router(folder, name, LOW) for name, folder in folders.items()}


@pytest.fixture
async def routers(folders, old):
    async with serving_routers(PROFILE, folders.values()) as routers:
        yield routers


async def test_a_strategy_without_a_folder_keeps_the_fixed_router(routers, old):
    assert routers.versions() == UNTRAINED | old
    assert routers.of("implementation") is routers.default
    assert routers.cost_weights() == dict.fromkeys(old, CostWeights(0.0, 1.0))


async def test_without_folders_every_strategy_is_fixed():
    async with serving_routers(PROFILE, []) as routers:
        assert routers.versions() == dict.fromkeys(STRATEGIES, "fixed-mid")


async def test_two_folders_of_one_strategy_are_refused(tmp_path, folders, old):
    write_router(tmp_path / "other", "capacity", HIGH)
    routers = ServedRouters(PROFILE)
    with pytest.raises(ConfigError, match=r"capacity and .*other are both routers of the strategy"):
        await routers.open([*folders.values(), tmp_path / "other"])
    assert routers.versions() == dict.fromkeys(STRATEGIES, "fixed-mid")


async def test_a_link_is_followed_anew_at_a_reload(tmp_path):
    first, second = (tmp_path / name for name in ("v1", "v2"))
    old, new = write_router(first, "capacity", LOW), write_router(second, "capacity", HIGH)
    link = tmp_path / "current"
    link.symlink_to(first)
    async with serving_routers(PROFILE, [link]) as routers:
        link.unlink()
        link.symlink_to(second)
        assert await routers.reload("capacity") == [RouterVersion("capacity", old, new)]


async def test_a_reload_of_one_strategy_leaves_the_others(folders, old, routers):
    new = {name: write_router(folder, name, HIGH) for name, folder in folders.items()}
    assert await routers.reload("capacity") == [
        RouterVersion("capacity", old["capacity"], new["capacity"])
    ]
    assert routers.versions()["reasoning"] == old["reasoning"]


async def test_a_reload_of_all_tells_each(folders, old, routers):
    new = write_router(folders["reasoning"], "reasoning", HIGH)
    assert await routers.reload() == [
        RouterVersion("capacity", old["capacity"], old["capacity"]),
        RouterVersion("reasoning", old["reasoning"], new),
    ]


async def test_the_folder_is_the_one_that_was_named_wherever_the_server_goes(
    folders, old, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    routers = ServedRouters(PROFILE)
    await routers.open([folders["capacity"].relative_to(tmp_path)])
    monkeypatch.chdir("/")
    assert [router.version for router in await routers.reload()] == [old["capacity"]]
    await routers.close()


async def test_one_faulty_folder_keeps_all_the_old_routers(folders, old, routers):
    write_router(folders["capacity"], "capacity", HIGH)
    shutil.rmtree(folders["reasoning"])
    with pytest.raises(ConfigError, match="reasoning"):
        await routers.reload()
    assert routers.versions() == UNTRAINED | old


async def test_what_was_checked_is_what_serves(folders, old, routers, monkeypatch):
    new = {name: write_router(folder, name, HIGH) for name, folder in folders.items()}
    prepare = served.prepare

    async def then_spoilt(folder, *arguments, **options):
        router = await prepare(folder, *arguments, **options)
        shutil.rmtree(folder)
        return router

    monkeypatch.setattr(served, "prepare", then_spoilt)
    assert [router.version for router in await routers.reload()] == list(new.values())
    assert routers.versions() == UNTRAINED | new


async def test_a_folder_that_changed_its_strategy_is_refused(folders, old, routers):
    write_router(folders["capacity"], "reasoning", HIGH)
    with pytest.raises(ConfigError, match="now holds a router of the strategy 'reasoning'"):
        await routers.reload("capacity")
    assert routers.versions() == UNTRAINED | old


@pytest.mark.parametrize(
    ("fault", "says"),
    [({"dimension": 16}, "16 dimensions"), ({"fragile": True}, "fails on a trial")],
)
async def test_all_checks_of_all_routers_come_before_the_first_swap(
    folders, old, routers, fault, says
):
    write_router(folders["capacity"], "capacity", HIGH)
    write_router(folders["reasoning"], "reasoning", HIGH, **fault)
    with pytest.raises(ConfigError, match=says):
        await routers.reload()
    assert routers.versions() == UNTRAINED | old


@pytest.mark.parametrize(("strategy", "whose"), [("", "router to"), ("capacity", "of capacity to")])
async def test_without_a_folder_there_is_nothing_to_reload(strategy, whose):
    with pytest.raises(ConfigError, match=f"{whose} reload: .*`budgetmem serve --router FOLDER`"):
        await ServedRouters(PROFILE).reload(strategy)


async def test_a_strategy_without_a_folder_cannot_be_reloaded(routers):
    with pytest.raises(ConfigError, match="no trained router of implementation to reload"):
        await routers.reload("implementation")


async def test_reloads_wait_for_each_other(routers, monkeypatch):
    at_work = []
    prepare = served.prepare

    async def watched(*arguments, **options):
        at_work.append(1)
        assert len(at_work) == 1
        await asyncio.sleep(0.02)
        found = await prepare(*arguments, **options)
        at_work.pop()
        return found

    monkeypatch.setattr(served, "prepare", watched)
    await asyncio.gather(*(routers.reload() for _ in range(3)))
