"""The demonstration against a server of real routers, pipeline and store, and fake models."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace

import pytest
import typer
from typer.testing import CliRunner

from budgetmem.backbone import HashEncoder, ModelSet, ScriptedBackbone, ScriptedTagger
from budgetmem.config import load_profile
from budgetmem.errors import InvalidInput
from budgetmem.info import CostWeights
from budgetmem.modules import MODULES
from budgetmem.tiers import STRATEGIES, Tier
from budgetmem.types import Budget
from server.assembly import build_engine
from server.child import Served
from server.demo import asking, running
from server.demo.command import demo
from server.doors import Doors
from server.routers import serving_routers
from tests.fakes import perfect
from tests.router_folders import write_router
from tests.server.fake_engine import INFO

runner = CliRunner()
app = typer.Typer()
app.command()(demo)

PROFILE = load_profile("tiny")
MODELS = ModelSet(
    {"all": ScriptedBackbone(perfect, name="all")},
    HashEncoder(PROFILE.encoder.dimension, PROFILE.encoder.asset),
    ScriptedTagger(name=PROFILE.tagger.asset),
)


@asynccontextmanager
async def served(data_dir, folders):
    """The address of a server with the trained routers in `folders`."""
    doors = Doors()
    async with serving_routers(PROFILE, folders) as routers:
        port = await doors.open("127.0.0.1", 0)
        await doors.serve(build_engine(PROFILE, MODELS, data_dir, routers=routers))
        yield f"127.0.0.1:{port}"
        await doors.close(0)


@pytest.fixture
def show(tmp_path, monkeypatch):
    """Runs the demonstration; what it printed, and what it wrote."""

    async def run(*arguments, routers=()):
        output = tmp_path / "build" / "demo.json"
        async with served(tmp_path / "data", routers) as address:

            @contextmanager
            def server(*_):
                yield Served(address, os.getpid(), 0.5)

            monkeypatch.setattr(running, "serving", server)
            result = await asyncio.to_thread(
                runner.invoke, app, ["--no-pull", "--output", str(output), *arguments]
            )
        if result.exception is not None:
            raise result.exception
        return result.output, json.loads(output.read_text(encoding="utf-8"))

    return run


async def test_without_a_trained_router_it_says_so_and_shows_the_tiers(show):
    printed, written = await show("--questions", "2")
    assert "'implementation' has no trained router" in " ".join(printed.split())
    assert "The router" not in printed
    assert (written["profile"], written["router"]) == ("tiny", "fixed-mid")
    assert [(row["tier"], row["cost_weight"]) for row in written["rows"]] == [
        (tier.label, None) for tier in Tier for _ in range(2)
    ]
    assert written["rows"][0]["tiers"] == dict.fromkeys(MODULES, "low")
    assert written["rows"][-1]["answer"] == "a cat"


async def test_with_one_it_shows_lambda_at_work(show, tmp_path):
    version = write_router(tmp_path / "implementation", "implementation", Tier.HIGH, slope=10)
    printed, written = await show("--questions", "2", routers=[tmp_path / "implementation"])
    assert f"The router {version} chooses" in printed
    assert "no trained router" not in printed
    said = " ".join(printed.split())
    assert "From lambda 0 to 0.9 a question went from" in said
    assert "Cheaper tiers: filter in 2 of 2, entity in 2 of 2" in said
    assert written["router"] == version
    pinned, weighed = written["rows"][:3], written["rows"][3:]
    assert [row["tier"] for row in pinned] == ["low", "mid", "high"]
    assert [row["cost_weight"] for row in weighed] == [0.0, 0.0, 0.3, 0.3, 0.9, 0.9]
    assert {row["router"] for row in weighed} == {version}
    assert weighed[0]["tiers"] == dict.fromkeys(MODULES, "high")
    assert weighed[-1]["tiers"] == dict.fromkeys(MODULES, "low")
    assert weighed[-1]["cost_usd"] < weighed[0]["cost_usd"]


async def test_the_strategy_is_the_one_with_a_router_unless_one_is_named(show, tmp_path):
    write_router(tmp_path / "capacity", "capacity")
    routers = [tmp_path / "capacity"]
    arguments = ("--questions", "1", "--cost-weight", "0.1")
    _, written = await show(*arguments, routers=routers)
    assert (written["strategy"], len(written["rows"])) == ("capacity", 4)
    printed, written = await show(*arguments, "--strategy", "reasoning", routers=routers)
    assert (written["strategy"], len(written["rows"])) == ("reasoning", 3)
    assert "no trained router" in " ".join(printed.split())


def test_trained_strategies_are_those_without_the_servers_fixed_router():
    info = replace(
        INFO, routers=dict.fromkeys(STRATEGIES, "fixed-mid") | {"capacity": "capacity-1"}
    )
    assert asking.trained_strategies(info) == ["capacity"]
    assert asking.trained_strategies(replace(INFO, routers={})) == []
    assert asking.choose_strategy(None, info) == "capacity"
    assert asking.choose_strategy("reasoning", info) == "reasoning"
    assert asking.choose_strategy(None, INFO) == "implementation"


def test_questions_are_of_as_many_types_as_there_are():
    questions = asking.read_questions(5)
    assert len({question.type for question in questions}) == 5
    assert len({question.id for question in asking.read_questions(20)}) == 20


@pytest.mark.parametrize(
    ("known", "expected"),
    [((0.0, 0.9), [0.0, 0.3, 0.9]), ((0.1, 0.5), [0.3]), ((0.5, 0.5), [0.5]), ((1.0, 2.0), [1, 2])],
)
def test_lambdas_are_within_what_the_router_takes(known, expected):
    info = replace(
        INFO, routers={"capacity": "capacity-1"}, cost_weights={"capacity": CostWeights(*known)}
    )
    assert asking.cost_weights([0.0, 0.3, 0.9], info, "capacity") == expected
    assert asking.cost_weights([0.0, 0.3, 0.9], info, "reasoning") == []


def test_lambda_takes_the_time_that_pins_took():
    questions = asking.read_questions(3)
    assert len(asking.plan(questions, [])) == 9
    jobs = asking.plan(questions, [0.0, 0.9])
    assert [job.budget for job in jobs[2:4]] == [
        Budget(tiers=dict.fromkeys(MODULES, Tier.HIGH)),
        Budget(cost_weight=0.0),
    ]
    assert len(jobs) == 3 + 2 * 3


def test_a_strategy_that_there_is_not_is_refused_before_anything_starts():
    result = runner.invoke(app, ["--no-pull", "--strategy", "guessing"])
    assert isinstance(result.exception, InvalidInput)
    assert "implementation, reasoning, capacity" in str(result.exception)


def test_the_command_loads_no_server_before_it_runs():
    code = "import sys, server.demo.command; print('grpc' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
