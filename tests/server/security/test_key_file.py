from __future__ import annotations

import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone

import pytest

from budgetmem.errors import ConfigError, NotFound
from server.security import key_file
from server.security.key_file import KeyRecord, change_keys, read_keys
from server.security.principal import Scope

NOW = datetime(2024, 5, 8, 12, tzinfo=timezone.utc)


def record(name, **more):
    return KeyRecord(
        id=name, sha256="0" * 64, tenant="acme", scopes=(Scope.READ,), created=NOW, **more
    )


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data" / "keys.json"


def added(*names):
    return lambda keys: (*keys, *map(record, names))


def test_no_file_is_no_keys(path):
    assert read_keys(path) == ()


def test_records_come_back_as_they_were_written(path):
    full = record("b", expires=NOW, revoked=NOW, note="a dashboard")
    written = change_keys(path, lambda keys: (*keys, record("a"), full))
    assert read_keys(path) == written == (record("a"), full)
    assert read_keys(path)[1].expires.utcoffset() == timedelta(0)


def test_the_file_is_the_owners_alone_whatever_the_umask(path):
    old = os.umask(0)
    try:
        change_keys(path, added("a"))
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["keys.json"]


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o400])
def test_a_file_keeps_its_mode(path, mode):
    change_keys(path, added("a"))
    path.chmod(mode)
    change_keys(path, added("b"))
    assert stat.S_IMODE(path.stat().st_mode) == mode


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize(("mode", "group"), [(0o600, os.getegid()), (0o640, 10002)])
def test_a_key_that_root_revokes_can_be_read_by_the_servers_user(path, mode, group):
    change_keys(path, added("a"))
    os.chown(path, 10001, 10002)
    path.chmod(mode)
    change_keys(path, lambda keys: ())
    found = path.stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (10001, group, mode)


def test_who_may_not_give_the_file_back_may_not_change_it(path, monkeypatch):
    change_keys(path, added("a"))
    before = path.read_bytes()

    def refuse(descriptor, user, group):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(key_file.os, "fchown", refuse)
    with pytest.raises(ConfigError, match=rf"number {os.geteuid()}, .*: run this as that user"):
        change_keys(path, added("b"))
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == ["keys.json"]


def test_a_change_that_fails_leaves_the_file_as_it_was(path, monkeypatch):
    change_keys(path, added("a"))
    before = path.read_bytes()

    def refuse(keys):
        raise NotFound("no such key")

    with pytest.raises(NotFound):
        change_keys(path, refuse)

    def full_disk(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(key_file.os, "fsync", full_disk)
    with pytest.raises(ConfigError, match="No space left"):
        change_keys(path, added("b"))
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == ["keys.json"]


def test_changes_side_by_side_all_count(path):
    names = [str(number) for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: change_keys(path, added(name)), names))
    assert sorted(read.id for read in read_keys(path)) == sorted(names)


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_may_write_to_is_refused(path, mode):
    change_keys(path, added("a"))
    path.chmod(mode)
    with pytest.raises(ConfigError, match="chmod 600"):
        read_keys(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_file_of_another_user_is_refused(path, monkeypatch):
    change_keys(path, added("a"))
    os.chown(path, 10001, -1)
    for user in (0, 10002):
        monkeypatch.setattr(key_file.os, "geteuid", lambda user=user: user)
        with pytest.raises(ConfigError, match=f"number 10001, .*: run chown {user} "):
            read_keys(path)
    assert read_keys(path, anyones=True) == (record("a"),)
    monkeypatch.setattr(key_file.os, "geteuid", lambda: 10001)
    assert read_keys(path) == (record("a"),)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes files of root's")
def test_a_file_of_roots_is_everybodys(path, monkeypatch):
    change_keys(path, added("a"))
    monkeypatch.setattr(key_file.os, "geteuid", lambda: 10001)
    assert read_keys(path) == (record("a"),)


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ("not json", "the file"),
        ('{"version": 2, "keys": []}', "version"),
        ('{"version": 1, "keys": [{"id": "a"}]}', r"keys\.0\.created"),
        ('{"version": 1, "keys": [], "more": 1}', "more"),
    ],
)
def test_a_malformed_file_is_told_and_where(path, content, place):
    path.parent.mkdir()
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match=place):
        read_keys(path)


@pytest.mark.parametrize(
    "change",
    [{"sha256": "abc"}, {"scopes": []}, {"scopes": ["root"]}, {"created": "2024-05-08T12:00"}],
)
def test_a_record_that_makes_no_sense_is_refused(path, change):
    change_keys(path, added("a"))
    content = json.loads(path.read_text())
    content["keys"][0] |= change
    path.write_text(json.dumps(content))
    with pytest.raises(ConfigError, match=next(iter(change))):
        read_keys(path)


def test_states():
    second = timedelta(seconds=1)
    assert record("a").state(NOW) == "active"
    assert record("a", expires=NOW + second).state(NOW) == "active"
    assert record("a", expires=NOW).state(NOW) == "expired"
    assert record("a", expires=NOW + second, revoked=NOW).state(NOW) == "revoked"
