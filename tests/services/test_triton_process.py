"""The life and death of the embedded Triton: crashes, restarts, and nothing left behind."""

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from budgetmem.backbone import GenerationRequest, HashEncoder, ModelSet, ScriptedTagger
from budgetmem.errors import BackboneUnavailable
from budgetmem.guarded import GuardedModels, Outage, breakers_of
from budgetmem.tokens import ByteCounter
from budgetmem.triton import Channel, TritonBackbone
from server.canary import Canaries
from server.triton_process import EmbeddedTriton
from tests.services.conftest import FAKE_MODEL
from tests.services.processes import command, descendants, exists, traces, until

pytestmark = [pytest.mark.services, pytest.mark.asyncio(loop_scope="session")]

HELLO = GenerationRequest("hello", max_tokens=5)
HANG = GenerationRequest("#hang", max_tokens=5)
CRASH = GenerationRequest("#crash", max_tokens=5)
OWNER = """
import asyncio, sys
from pathlib import Path
from server.triton_process import EmbeddedTriton

async def own():
    async with EmbeddedTriton(Path(sys.argv[1]), stop_timeout_s=4):
        print("ready", flush=True)
        await asyncio.sleep(600)

asyncio.run(own())
"""


def is_triton(pid: int) -> bool:
    return command(pid).partition(" ")[0].endswith("/tritonserver")


def repository_with(model_py: str, fake_repository: Path, folder: Path) -> Path:
    """A repository whose only model has the fake's config and other code."""
    model = folder / "repository" / FAKE_MODEL
    (model / "1").mkdir(parents=True)
    shutil.copy(fake_repository / FAKE_MODEL / "config.pbtxt", model)
    (model / "1" / "model.py").write_text(model_py)
    return model.parent


async def test_killed_in_the_middle_of_a_request_and_restarted(fake_repository):
    others = descendants(os.getpid())
    async with EmbeddedTriton(fake_repository, stop_timeout_s=4) as triton:
        [pid] = filter(is_triton, descendants(os.getpid()) - others)
        channel = Channel(triton.url)
        backbone = TritonBackbone(channel, FAKE_MODEL, ByteCounter())
        first = asyncio.Event()
        task = asyncio.create_task(backbone.generate(HANG, first.set))
        await asyncio.wait_for(first.wait(), 5)

        killed = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(BackboneUnavailable, match=triton.url):
            await task
        assert time.monotonic() - killed < 3
        with pytest.raises(BackboneUnavailable, match="check that Triton runs there"):
            await backbone.generate(HELLO)
        assert await asyncio.wait_for(triton.wait_exit(), 10) == 128 + signal.SIGKILL
        assert not triton.running

        url = triton.url
        await triton.restart()
        assert triton.url == url
        assert (await backbone.generate(HELLO)).text == "hello "
        await channel.close()


async def test_a_dead_model_process_fails_what_it_was_doing_and_ends_triton(
    fake_repository, caplog
):
    async with EmbeddedTriton(fake_repository, stop_timeout_s=1) as triton:
        channel = Channel(triton.url)
        backbone = TritonBackbone(channel, FAKE_MODEL, ByteCounter(), patience_s=0.5)
        results = await asyncio.wait_for(
            asyncio.gather(
                *(backbone.generate(each) for each in (HANG, HANG, CRASH)), return_exceptions=True
            ),
            20,
        )
        assert [type(result) for result in results] == [BackboneUnavailable] * 3
        await asyncio.wait_for(triton.wait_exit(), 10)
        assert f"the process of model {FAKE_MODEL} died" in caplog.text

        await triton.restart()
        assert (await backbone.generate(HELLO)).text == "hello "
        await channel.close()


async def test_a_model_process_that_is_stopped_is_found_and_nobody_waits_for_it_for_ever(
    fake_repository, caplog
):
    """Nothing ends then, and Triton calls the model ready: only its callers can tell."""
    others, outage = descendants(os.getpid()), Outage()
    async with EmbeddedTriton(fake_repository, stop_timeout_s=1, on_trouble=outage.begin) as triton:
        channel = Channel(triton.url)
        backbone = TritonBackbone(channel, FAKE_MODEL, ByteCounter(), patience_s=0.5)
        models = ModelSet({"fake": backbone}, HashEncoder(), ScriptedTagger())
        breakers = breakers_of(models.backbones)
        guarded = GuardedModels(models, breakers, outage)
        canaries = Canaries(
            guarded, breakers, idle_s=0.0, every_s=0.1, patience_s=2.0, give_up=triton.give_up
        )
        await canaries.send_all()
        [stub] = [
            pid
            for pid in descendants(os.getpid()) - others
            if "triton_python_backend_stub" in command(pid)
        ]
        os.kill(stub, signal.SIGSTOP)
        asked = asyncio.create_task(guarded.backbones["fake"].generate(HELLO))
        asking = asyncio.create_task(canaries.run())
        await asyncio.wait_for(triton.wait_exit(), 60)
        assert "fake does not answer: stopping Triton" in caplog.text
        await triton.restart()
        breakers.reset()
        outage.end()
        with contextlib.suppress(BackboneUnavailable):  # worth a retry, and said so
            assert (await asyncio.wait_for(asked, 60)).text == "hello "
        assert (await guarded.backbones["fake"].generate(HELLO)).text == "hello "
        asking.cancel()
        await channel.close()


async def test_nothing_outlives_an_owner_that_is_killed(fake_repository, tmp_path):
    log = tmp_path / "owner.log"
    with log.open("w") as errors:
        owner = subprocess.Popen(
            [sys.executable, "-c", OWNER, str(fake_repository)],
            stdout=subprocess.PIPE,
            stderr=errors,
            cwd=Path(__file__).parents[2],
            text=True,
        )
    assert owner.stdout is not None
    line = await asyncio.to_thread(owner.stdout.readline)
    assert line == "ready\n", log.read_text()
    family = descendants(owner.pid)
    assert any("triton_python_backend_stub" in command(pid) for pid in family)
    used = traces(family)
    assert len(used) >= 2

    owner.kill()
    owner.wait()
    assert await asyncio.to_thread(until, lambda: not any(map(exists, family)), 15), [
        command(pid) for pid in family if exists(pid)
    ]
    assert not [trace for trace in used if trace.exists()]


async def test_a_killed_supervisor_takes_triton_along(fake_repository):
    others = descendants(os.getpid())
    triton = EmbeddedTriton(fake_repository)
    await triton.start()
    family = descendants(os.getpid()) - others
    [supervisor] = [pid for pid in family if "supervise.py" in command(pid)]
    os.kill(supervisor, signal.SIGKILL)
    living = lambda: [p for p in family if exists(p) and command(p)]  # noqa: E731
    assert await asyncio.to_thread(until, lambda: not living(), 15), living()
    await triton.stop()


async def test_stopping_is_graceful_and_may_be_repeated(fake_repository):
    others = descendants(os.getpid())
    triton = EmbeddedTriton(fake_repository)
    await triton.start()
    used = traces(descendants(os.getpid()) - others)
    await triton.stop()
    await triton.stop()
    assert any("All models are stopped" in line for line in triton.log_tail)
    assert descendants(os.getpid()) <= others
    assert not [trace for trace in used if trace.exists()]


async def test_progress_and_log_are_told(fake_repository, caplog):
    progress = []
    caplog.set_level(logging.INFO, logger="triton")
    async with EmbeddedTriton(
        fake_repository, on_progress=lambda loaded, models: progress.append((loaded, models))
    ):
        pass
    assert progress == [((FAKE_MODEL,), (FAKE_MODEL,))]
    assert "Started GRPCInferenceService at 127.0.0.1" in caplog.text


async def test_a_model_that_does_not_load_is_reported_with_its_cause(
    fake_repository, tmp_path, monkeypatch
):
    failing = "raise ValueError('the weights are missing')\n"
    repository = repository_with(failing, fake_repository, tmp_path)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    with pytest.raises(BackboneUnavailable) as caught:
        await EmbeddedTriton(repository, start_timeout_s=60).start()
    assert "the weights are missing" in str(caught.value)
    assert f"models not loaded: {FAKE_MODEL}" in str(caught.value)
    assert not list(temporary.iterdir())


@pytest.mark.parametrize("name", ["server", "asyncio", "triton_python_backend_utils"])
async def test_models_are_not_made_of_files_in_the_current_folder(
    fake_repository, tmp_path, monkeypatch, name
):
    here = tmp_path / "here"
    here.mkdir()
    (here / f"{name}.py").write_text("raise ValueError('the wrong one')\n")
    monkeypatch.chdir(here)
    monkeypatch.setenv("BUDGETMEM_ASSETS", "weights")
    needs = (
        "import triton_python_backend_utils, asyncio, server.triton_models.parameters\n"
        "from budgetmem.assets import cache_root\n"
        f"assert str(cache_root()) == {str(here / 'weights')!r}\n"
    )
    source = (fake_repository / FAKE_MODEL / "1" / "model.py").read_text()
    repository = repository_with(needs + source, fake_repository, tmp_path)
    async with EmbeddedTriton(repository, start_timeout_s=120, stop_timeout_s=4) as triton:
        assert triton.running


async def test_a_start_that_takes_too_long_is_given_up(fake_repository, tmp_path):
    repository = repository_with("import time\ntime.sleep(600)\n", fake_repository, tmp_path)
    others = descendants(os.getpid())
    with pytest.raises(BackboneUnavailable, match="was not ready after 2 s"):
        await EmbeddedTriton(repository, start_timeout_s=2, stop_timeout_s=1).start()
    assert descendants(os.getpid()) <= others
