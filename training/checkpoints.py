"""Checkpoints: what a training run needs to go on exactly where it stood.

A file is a line that names the format and the SHA-256 of the rest, and then what torch saves. So
a truncated file, or one that something else wrote, is known before any of it is believed. Nothing
in it is executed: it is loaded with `weights_only`.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch

from budgetmem.errors import ConfigError, InvalidInput
from training.differences import differences

MAGIC = b"budgetmem training checkpoint 1 "
State = Mapping[str, Any]


@dataclass(frozen=True)
class Checkpoint:
    """A run after some updates.

    `policy`, `ppo` and `reward` are their states (`ppo`: optimizer and torch generator), `random`
    that of the numpy generator. `best` is what best.pt holds, empty before the first validation.
    `settings` are those of the configuration, `data` SHA-256 sums by name.
    """

    update: int
    policy: State
    ppo: State
    reward: State
    random: State
    best: State
    settings: State
    data: State


def save(path: Path, checkpoint: Checkpoint) -> None:
    """Replaces the file at once: after a crash it is the old one or the new one, whole."""
    content = io.BytesIO()
    torch.save({each.name: getattr(checkpoint, each.name) for each in fields(Checkpoint)}, content)
    payload = content.getvalue()
    write(path, MAGIC + hashlib.sha256(payload).hexdigest().encode() + b"\n" + payload)


def load(path: Path) -> Checkpoint:
    """Raises InvalidInput if the file cannot be read, is truncated, damaged, or no checkpoint."""
    try:
        header, _, payload = path.read_bytes().partition(b"\n")
    except OSError as exc:
        raise InvalidInput(str(path), f"cannot be read: {exc.strerror}") from exc
    if not header.startswith(MAGIC):
        raise InvalidInput(
            str(path), "is no checkpoint of this version of train.py: name another --out"
        )
    if header.removeprefix(MAGIC) != hashlib.sha256(payload).hexdigest().encode():
        raise InvalidInput(str(path), "is truncated or damaged: delete it to train from the start")
    return Checkpoint(**torch.load(io.BytesIO(payload), weights_only=True))


def check_same_run(checkpoint: Checkpoint, settings: State, data: State) -> None:
    """Raises ConfigError naming what differs between a checkpoint's run and this one."""
    found = differences(checkpoint.settings, settings) + differences(checkpoint.data, data)
    if found:
        raise ConfigError(
            f"the checkpoint is of another run ({'; '.join(found)}): name another --out"
        )


def make_folder(path: Path) -> None:
    """Makes a folder to write to, unless it is there. Raises ConfigError if it cannot be made."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise ConfigError(f"{path}: cannot be made a folder: {exc.strerror}") from exc


def save_torch(path: Path, content: State) -> None:
    """As `torch.save`, but the file is replaced at once."""
    buffer = io.BytesIO()
    torch.save(dict(content), buffer)
    write(path, buffer.getvalue())


def write(path: Path, content: bytes) -> None:
    """Writes beside the file, waits for the disk, and renames."""
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
