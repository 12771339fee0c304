from __future__ import annotations

import hashlib
from datetime import datetime, timedelta, timezone

import pytest

from server.security.api_keys import SECRET_BYTES, ApiKeys, new_key
from server.security.key_file import change_keys
from server.security.principal import Principal, Scope
from server.security.watched import LOOK_EVERY_S
from tests.server.security.clocks import Clock

NOW = datetime(2024, 5, 8, 12, tzinfo=timezone.utc)
DAY = timedelta(days=1)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "keys.json"


def add(path, tenant="acme", scopes=(Scope.READ,), **more):
    key, record = new_key(tenant, scopes, NOW, **more)
    change_keys(path, lambda keys: (*keys, record))
    return key, record


def revoke(path, key_id):
    change_keys(
        path,
        lambda keys: tuple(
            key.model_copy(update={"revoked": NOW}) if key.id == key_id else key for key in keys
        ),
    )


def keys(path, now=NOW, clock=None):
    return ApiKeys(path, now=lambda: now, clock=clock or Clock())


async def test_a_key_is_the_tenant_and_the_scopes_that_it_was_made_for(path):
    key, record = add(path, "acme", [Scope.WRITE, Scope.READ])
    other, _ = add(path, "ben", [Scope.ADMIN])
    verifier = keys(path)
    assert await verifier.authenticate(key) == Principal(
        "acme", frozenset({Scope.READ, Scope.WRITE}), f"key {record.id}"
    )
    assert (await verifier.authenticate(other)).tenant == "ben"


async def test_only_a_hash_is_kept_and_two_keys_differ(path):
    key, record = add(path)
    assert key not in path.read_text()
    assert key.rpartition("_")[2] not in path.read_text()
    assert record.sha256 == hashlib.sha256(key.encode()).hexdigest()
    assert len(bytes.fromhex(key.rpartition("_")[2])) == SECRET_BYTES == 32
    assert add(path)[0] != key


async def test_what_is_no_key_is_nobody(path):
    key, record = add(path)
    verifier = keys(path)
    wrong = key[:-1] + ("0" if key[-1] != "0" else "1")
    unknown, _ = new_key("acme", [Scope.READ], NOW)
    for credential in (wrong, unknown, key[:-1], key + "0", key.upper(), "", "bmk_", record.sha256):
        assert await verifier.authenticate(credential) is None
    assert await verifier.authenticate(f"bmk_{record.id}_{record.sha256}") is None


async def test_expiry(path):
    key, _ = add(path, expires=NOW + DAY)
    assert await keys(path, NOW + DAY - timedelta(seconds=1)).authenticate(key)
    assert await keys(path, NOW + DAY).authenticate(key) is None


async def test_revoking_takes_effect_within_a_look(path):
    clock = Clock()
    key, record = add(path)
    verifier = keys(path, clock=clock)
    assert await verifier.authenticate(key)
    revoke(path, record.id)
    clock.seconds += LOOK_EVERY_S
    assert await verifier.authenticate(key) is None


async def test_a_new_key_is_valid_within_a_look(path):
    clock = Clock()
    verifier = keys(path, clock=clock)
    key, _ = add(path)
    clock.seconds += LOOK_EVERY_S
    assert await verifier.authenticate(key)


async def test_a_file_that_was_refused_counts_once_its_mode_is_mended(path):
    clock = Clock()
    key, record = add(path)
    verifier = keys(path, clock=clock)
    revoke(path, record.id)
    path.chmod(0o664)
    clock.seconds += LOOK_EVERY_S
    assert await verifier.authenticate(key), "others may write to the file"
    path.chmod(0o600)
    clock.seconds += LOOK_EVERY_S
    assert await verifier.authenticate(key) is None


async def test_without_the_file_nobody_is_let_in(path):
    clock = Clock()
    key, _ = add(path)
    verifier = keys(path, clock=clock)
    path.unlink()
    clock.seconds += LOOK_EVERY_S
    assert await verifier.authenticate(key) is None
