"""The document is what the protos say, and what the server does."""

from __future__ import annotations

import importlib.util
import json

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from server.http.openapi import OUT
from server.http.routes import ROUTES, SERVICES

# Nothing waits here, but a busy machine takes minutes to check a document by its schema.
pytestmark = pytest.mark.timeout(600)

DOCUMENT = json.loads(OUT.read_text(encoding="utf-8"))
SCHEMAS = DOCUMENT["components"]["schemas"]


@pytest.mark.skipif(
    importlib.util.find_spec("grpc_tools") is None, reason="grpcio-tools is not installed"
)
def test_the_committed_document_is_what_the_protos_make():
    from server.http.openapi import written

    assert OUT.read_text(encoding="utf-8") == written()


def test_it_is_valid():
    OpenAPIV31SpecValidator(DOCUMENT).validate()


def test_every_rpc_has_one_route_and_every_route_one_operation():
    rpcs = [method.name for service in SERVICES for method in service.methods]
    assert sorted(route.rpc for route in ROUTES) == sorted(rpcs)
    operations = [
        each["operationId"] for path in DOCUMENT["paths"].values() for each in path.values()
    ]
    assert sorted(operations) == sorted([*rpcs, "Health"])


def test_all_is_described():
    for path in DOCUMENT["paths"].values():
        for operation in path.values():
            assert operation["summary"]
            assert operation["description"]
    for name, schema in SCHEMAS.items():
        assert schema["description"], name
        for field, each in (
            schema["properties"].items() if name != "Error" and "properties" in schema else ()
        ):
            assert each["description"], f"{name}.{field}"


def test_a_request_asks_for_what_its_comments_require_and_not_for_what_the_path_says():
    assert SCHEMAS["ExtractRequest"]["required"] == ["query"]
    assert "history" not in SCHEMAS["ExtractRequest"]["properties"]
    assert SCHEMAS["Turn"]["required"] == ["id", "speaker", "text"]
    assert "required" not in SCHEMAS["Budget"]


def test_a_response_has_all_that_is_not_optional():
    assert "meanLogprob" not in SCHEMAS["Step"]["required"]
    assert {"module", "rung", "fallbacks"} <= set(SCHEMAS["Step"]["required"])
    assert "choice" not in SCHEMAS["Step"]["required"]


def test_types_are_those_of_canonical_json():
    usage, budget = SCHEMAS["Usage"]["properties"], SCHEMAS["Budget"]["properties"]
    assert usage["inputTokens"]["type"] == "string"
    assert usage["calls"]["type"] == "integer"
    assert budget["tiers"]["additionalProperties"] == {"$ref": "#/components/schemas/Tier"}
    assert SCHEMAS["Tier"]["enum"][0] == "TIER_UNSPECIFIED"
