"""The parts of the embedded Triton that need no Triton (tests/services has the rest)."""

import asyncio
import errno
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from budgetmem.errors import BackboneUnavailable, ConfigError
from server import triton_launch
from server.triton_process import EmbeddedTriton, free_ports, models_in


@dataclass
class Install:
    """A Triton that is not installed, for a disk that may be full."""

    binary = stub = Path("nowhere")
    full: bool = False

    def backend_directory(self, folder):
        (folder / "python").mkdir(parents=True)
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return folder

    def environment(self):
        return {}


def test_models_are_the_folders_with_a_config(tmp_path):
    for name in ("b", "a", "c"):
        (tmp_path / name).mkdir()
    for name in ("b", "a"):
        (tmp_path / name / "config.pbtxt").touch()
    assert models_in(tmp_path) == ("a", "b")


def test_a_folder_without_models_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="is not a Triton model repository"):
        EmbeddedTriton(tmp_path)


def test_free_ports_differ():
    assert len(set(free_ports(20))) == 20


@pytest.fixture
def repository(tmp_path):
    (tmp_path / "repository" / "low").mkdir(parents=True)
    (tmp_path / "repository" / "low" / "config.pbtxt").touch()
    return tmp_path / "repository"


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """Where folders of temporary files are made."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


async def test_a_full_disk_is_worth_another_start_and_leaves_no_folder(
    repository, temporary, monkeypatch
):
    monkeypatch.setattr(triton_launch, "find_install", lambda: Install(full=True))
    triton = EmbeddedTriton(repository)
    for _ in range(2):
        with pytest.raises(BackboneUnavailable, match=r"No space left on device.*check the room"):
            await triton.restart()
    assert list(temporary.iterdir()) == []
    assert not triton.running


async def test_a_process_that_cannot_be_made_leaves_no_folder(repository, temporary, monkeypatch):
    async def refuse(*command, **options):
        assert list(temporary.iterdir()) != []
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(triton_launch, "find_install", Install)
    monkeypatch.setattr(asyncio, "create_subprocess_exec", refuse)
    with pytest.raises(BackboneUnavailable, match="temporarily unavailable"):
        await EmbeddedTriton(repository).start()
    assert list(temporary.iterdir()) == []


async def test_without_temporary_files_at_all_it_is_worth_another_start(
    repository, temporary, monkeypatch
):
    monkeypatch.setattr(triton_launch, "find_install", Install)
    temporary.rmdir()
    with pytest.raises(BackboneUnavailable, match="cannot be started"):
        await EmbeddedTriton(repository).start()


async def test_giving_up_a_model_of_what_does_not_run_does_nothing(repository):
    troubles = []
    triton = EmbeddedTriton(repository, on_trouble=lambda: troubles.append(1))
    triton.give_up("low")
    assert troubles == []
