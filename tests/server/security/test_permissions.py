"""The table of scopes against the protos: whoever adds an RPC decides who may call it."""

from __future__ import annotations

import pytest
from google.protobuf import descriptor_pool
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from budgetmem.errors import PermissionDenied
from budgetmem.proto.budgetmem.v1 import admin_pb2, memory_pb2
from budgetmem.proto.generate import PROTOS
from server.security.permissions import OPEN_SERVICES, SCOPES, check_scope, is_open
from server.security.principal import Principal, Scope

OURS = [
    f"/{service.full_name}/{method.name}"
    for file in (memory_pb2, admin_pb2)
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
]
EVERYTHING = Principal("acme", frozenset(Scope), "key 1")


def test_every_rpc_of_the_protos_has_its_scope_and_no_other_is_listed():
    assert sorted(SCOPES) == sorted(OURS)


def test_all_files_of_our_package_are_looked_at():
    """A third .proto with a service would escape the test above."""
    pool = descriptor_pool.Default()
    services = {method.rpartition("/")[0].lstrip("/") for method in OURS}
    assert services == {"budgetmem.v1.MemoryService", "budgetmem.v1.AdminService"}
    declared = {
        service.full_name
        for proto in PROTOS
        for service in pool.FindFileByName(proto).services_by_name.values()
    }
    assert declared == services


def test_administration_needs_admin_alone():
    for method, scope in SCOPES.items():
        assert (scope is Scope.ADMIN) == ("AdminService" in method)


@pytest.mark.parametrize("method", ["/budgetmem.v1.MemoryService/Drop", "/x/y", "", "/", "Ingest"])
def test_what_is_not_listed_is_refused_to_everybody(method):
    assert not is_open(method)
    with pytest.raises(PermissionDenied):
        check_scope(EVERYTHING, method)


@pytest.mark.parametrize("method", OURS)
@pytest.mark.parametrize("scope", Scope)
def test_each_scope_allows_its_own_calls_and_no_others(method, scope):
    caller = Principal("acme", frozenset({scope}), "key 1")
    if SCOPES[method] is scope:
        check_scope(caller, method)
    else:
        with pytest.raises(PermissionDenied, match=SCOPES[method].value):
            check_scope(caller, method)


def test_open_services_are_health_and_reflection():
    health = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
    reflection = reflection_pb2.DESCRIPTOR.services_by_name["ServerReflection"].full_name
    assert set(OPEN_SERVICES) == {health, reflection}
    assert is_open(f"/{health}/Check")
    assert not any(is_open(method) for method in OURS)
