from __future__ import annotations

import pytest

from budgetmem.hosts import bracketed, is_loopback, stays_here


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.8.9.1", "localhost", "LOCALHOST", "::1", "[::1]"]
)
def test_loopback(host):
    assert is_loopback(host)
    assert stays_here(f"[{host}]:50051" if host == "::1" else f"{host}:50051")


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "", "10.0.0.1", "example.com", "localhost.example.com", "128.0.0.1"]
)
def test_what_others_can_reach(host):
    assert not is_loopback(host)
    assert not stays_here(f"{host}:50051")


@pytest.mark.parametrize(
    ("host", "shown"),
    [("::1", "[::1]"), ("[::1]", "[::1]"), ("127.0.0.1", "127.0.0.1"), ("localhost", "localhost")],
)
def test_brackets_are_for_ipv6(host, shown):
    assert bracketed(host) == shown


def test_targets_of_grpc():
    assert stays_here("unix:/run/budgetmem.sock")
    assert not stays_here("dns:///localhost:50051")
    assert not stays_here("memory")
