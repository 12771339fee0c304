from __future__ import annotations

import logging
import os

import pytest

from budgetmem.errors import ConfigError
from server.security.watched import LOOK_EVERY_S, Watched
from tests.server.security.clocks import Clock


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "file"
    path.write_text("one")
    return path


def read(path):
    def load():
        text = path.read_text() if path.exists() else "gone"
        if text == "bad":
            raise ConfigError("it is bad")
        return text

    return load


def test_a_change_is_seen_at_the_next_look(path, clock):
    watched = Watched([path], read(path), clock=clock)
    path.write_text("two!")
    clock.seconds += LOOK_EVERY_S / 2
    assert watched.value == "one"
    clock.seconds += LOOK_EVERY_S / 2
    assert watched.value == "two!"


def test_a_file_that_is_replaced_is_seen_though_size_and_time_are_the_same(path, clock):
    watched = Watched([path], read(path), clock=clock)
    new = path.with_name("new")
    new.write_text("two")
    os.utime(new, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    os.replace(new, path)
    clock.seconds += LOOK_EVERY_S
    assert watched.value == "two"


def test_what_did_not_change_is_not_loaded_again(path, clock):
    loads = []
    watched = Watched([path], lambda: loads.append(1), clock=clock)
    for _ in range(5):
        clock.seconds += LOOK_EVERY_S
        assert watched.value is None
    assert len(loads) == 1


def test_a_bad_change_is_logged_once_and_the_last_good_value_stays(path, clock, caplog):
    watched = Watched([path], read(path), clock=clock)
    path.write_text("bad")
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            clock.seconds += LOOK_EVERY_S
            assert watched.value == "one"
    assert [record.getMessage() for record in caplog.records] == [
        "what was loaded before stays in use: it is bad"
    ]
    path.write_text("good")
    clock.seconds += LOOK_EVERY_S
    assert watched.value == "good"


def test_what_was_refused_is_loaded_once_it_can_be_without_another_change(path, clock, caplog):
    refused = set()

    def load():
        text = path.read_text()
        if text in refused:
            raise ConfigError("it is not valid yet")
        return text

    watched = Watched([path], load, clock=clock)
    path.write_text("renewed")
    refused.add("renewed")
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            clock.seconds += LOOK_EVERY_S
            assert watched.value == "one"
    assert len(caplog.records) == 1
    refused.clear()
    clock.seconds += LOOK_EVERY_S
    assert watched.value == "renewed"


def test_another_reason_to_refuse_the_same_file_is_logged_too(path, clock, caplog):
    reasons = []

    def load():
        if reasons:
            raise ConfigError(reasons.pop())
        return path.read_text()

    watched = Watched([path], load, clock=clock)
    path.write_text("two!")
    reasons += ["it has expired", "it is not valid yet", "it is not valid yet"]
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            clock.seconds += LOOK_EVERY_S
            assert watched.value == "one"
    assert [record.getMessage().rpartition(": ")[2] for record in caplog.records] == [
        "it is not valid yet",
        "it has expired",
    ]


def test_a_change_of_the_mode_alone_is_seen(path, clock):
    path.chmod(0o600)
    watched = Watched([path], lambda: path.stat().st_mode & 0o777, clock=clock)
    path.chmod(0o640)
    clock.seconds += LOOK_EVERY_S
    assert watched.value == 0o640


def test_a_file_may_come_and_go(tmp_path, clock):
    path = tmp_path / "later"
    watched = Watched([path], read(path), clock=clock)
    assert watched.value == "gone"
    path.write_text("here")
    clock.seconds += LOOK_EVERY_S
    assert watched.value == "here"
    path.unlink()
    clock.seconds += LOOK_EVERY_S
    assert watched.value == "gone"


def test_what_is_bad_from_the_start_is_told(path):
    path.write_text("bad")
    with pytest.raises(ConfigError, match="it is bad"):
        Watched([path], read(path))
