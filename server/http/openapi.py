"""The OpenAPI document, from the routes, the messages and their comments.

`python -m server.http.openapi` writes it anew; needs grpcio-tools (the `dev` extra).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from google.protobuf.descriptor import Descriptor

from server.http.app import HEALTH
from server.http.comments import comments
from server.http.faults import JSON
from server.http.framing import FRAMINGS
from server.http.requests import TIMEOUT, TIMEOUT_KEY
from server.http.routes import ROUTES, Route
from server.http.schemas import Schema, reached, reference, schema_of
from server.observability.calls import REQUEST_ID_KEY

OUT = Path(__file__).with_name("openapi.json")

ABOUT = """\
Agent memory, extracted at query time, for exactly the budget the caller grants. This is the gRPC \
service of budgetmem/proto over HTTP: the same messages in protobuf's canonical JSON (int64 as \
text), the same credentials, limits and errors. Budgets are in USD and milliseconds, times are \
ISO 8601 text."""

STREAM = (
    "One such object an event, or a line. One with `error` is the last of a stream that fails. "
    "A comment, or an empty line, is a sign of life: pass over it."
)

ERROR: Schema = {
    "type": "object",
    "description": "google.rpc.Status over HTTP.",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "status", "message", "details"],
            "properties": {
                "code": {"type": "integer", "description": "The HTTP status."},
                "status": {"type": "string", "description": "The gRPC status, as NOT_FOUND."},
                "message": {"type": "string", "description": "What is wrong, for people."},
                "details": {
                    "type": "array",
                    "description": "google.rpc.ErrorInfo, BadRequest and RetryInfo.",
                    "items": {
                        "type": "object",
                        "required": ["@type"],
                        "properties": {"@type": {"type": "string"}},
                    },
                },
            },
        }
    },
}

STATUS: Schema = {
    "type": "object",
    "description": "grpc.health.v1.HealthCheckResponse.",
    "required": ["status"],
    "properties": {"status": {"type": "string", "description": "SERVING, or another."}},
}

HEADERS: Mapping[str, tuple[str, Schema]] = {
    "budgetmem-tenant": (
        "Whose histories are meant, on a server that asks for no credential.",
        {"type": "string", "default": "default"},
    ),
    TIMEOUT_KEY: (
        "How long the caller waits: digits and a unit, `30S` seconds or `1500m` milliseconds.",
        {"type": "string", "pattern": f"^{TIMEOUT.pattern}$"},
    ),
    REQUEST_ID_KEY: (
        "Names the request in the server's log; the response has it, or one of the server's own.",
        {"type": "string", "pattern": "^[A-Za-z0-9_.:/=+@-]{1,128}$"},
    ),
    "traceparent": ("Makes the request part of the caller's trace (W3C).", {"type": "string"}),
}


def document() -> dict[str, Any]:
    """The document."""
    said = comments()
    paths: dict[str, Any] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.verb.lower()] = _operation(route, said)
    paths[HEALTH] = {"get": _health()}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "BudgetMem",
            "version": "v1",
            "description": ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}, {}],
        "paths": paths,
        "components": {
            "schemas": _schemas(said),
            "parameters": {name: _header(name) for name in HEADERS},
            "responses": {"Error": _content("What went wrong.", reference("Error"), [JSON])},
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API key or a JSON Web Token, if the server asks for one.",
                }
            },
        },
    }


def _operation(route: Route, said: Mapping[str, str]) -> dict[str, Any]:
    method = route.method
    types = [framing.media_type for framing in FRAMINGS] if method.server_streaming else [JSON]
    about = STREAM if method.server_streaming else said[method.output_type.full_name]
    text = said[method.full_name]
    operation: dict[str, Any] = {
        "operationId": route.rpc,
        "summary": re.split(r"(?<=[.:]) ", text)[0].rstrip(".:"),
        "description": text,
        "tags": [method.containing_service.name],
        "parameters": [
            *(_path_parameter(route, name, said) for name in route.params),
            *({"$ref": f"#/components/parameters/{name}"} for name in HEADERS),
        ],
        "responses": {
            "200": _content(about, reference(method.output_type.name), types),
            "default": {"$ref": "#/components/responses/Error"},
        },
    }
    if route.body is not None:
        body = {"schema": reference(_body(route).name)}
        operation["requestBody"] = {"required": True, "content": {JSON: body}}
    return operation


def _health() -> dict[str, Any]:
    return {
        "operationId": "Health",
        "summary": "Whether the server serves",
        "description": "As gRPC's health says. It asks for no credential.",
        "tags": ["Health"],
        "security": [],
        "responses": {
            "200": _content("It serves.", STATUS, [JSON]),
            "503": _content("It does not: it is starting or stopping.", STATUS, [JSON]),
            "default": {"$ref": "#/components/responses/Error"},
        },
    }


def _path_parameter(route: Route, name: str, said: Mapping[str, str]) -> dict[str, Any]:
    field = _body(route).fields_by_name[name]
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": said[field.full_name],
        "schema": {"type": "string"},
    }


def _body(route: Route) -> Descriptor:
    """The message that body and path fill."""
    # Its stubs know a second class of descriptors, which has the same face.
    return cast(Descriptor, route.new_request()[1].DESCRIPTOR)


def _schemas(said: Mapping[str, str]) -> dict[str, Schema]:
    bodies = {_body(route).name: route for route in ROUTES if route.body is not None}
    sent = reached(_body(route) for route in bodies.values())
    every = sent | reached(route.method.output_type for route in ROUTES)
    schemas = {
        name: schema_of(
            each,
            said,
            sent=name in sent,
            left_out=bodies[name].params if name in bodies else (),
        )
        for name, each in sorted(every.items())
    }
    return schemas | {"Error": ERROR}


def _header(name: str) -> dict[str, Any]:
    about, schema = HEADERS[name]
    return {"name": name, "in": "header", "description": about, "schema": schema}


def _content(about: str, schema: Schema, types: list[str]) -> dict[str, Any]:
    return {
        "description": about,
        "content": {media_type: {"schema": schema} for media_type in types},
    }


def written() -> str:
    """The document as text."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    OUT.write_text(written(), encoding="utf-8")
