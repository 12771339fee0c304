"""The ASGI application: the routes, health, the OpenAPI document."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files

import grpc
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute
from starlette.routing import Route as Mounted
from starlette.types import ASGIApp

from budgetmem.errors import BudgetMemError
from server.http.endpoint import Bounds, Endpoint
from server.http.entrance import Admit
from server.http.faults import JSON, respond
from server.http.middleware import Common, LocalNamesOnly
from server.http.requests import FORWARDED, TIMEOUT_KEY
from server.http.routes import ROUTES
from server.observability.calls import REQUEST_ID_KEY

HEALTH = "/healthz"
OPENAPI = "/openapi.json"


@dataclass(frozen=True)
class Access:
    """Who may use the application, beside what gRPC says.

    `cors_origins` are the sites whose pages may. With `local_names_only` it answers to names of
    this machine alone.
    """

    cors_origins: Sequence[str] = ()
    local_names_only: bool = False


def create_app(
    channel: grpc.aio.Channel,
    bounds: Bounds,
    access: Access,
    admit: Admit,
    ready: Callable[[], bool],
    *,
    pages: Sequence[BaseRoute] = (),
) -> ASGIApp:
    """The application in front of the gRPC server that `channel` leads to.

    `ready` tells what its health says.
    """
    routes: list[BaseRoute] = [
        Mounted(HEALTH, _health(ready)),
        Mounted(OPENAPI, openapi),
        *pages,
        *(
            _Whole(
                # Names of histories may have slashes; the path comes here decoded.
                route.path.replace("}", ":path}"),
                Endpoint(route, channel, admit, bounds),
                methods=[route.verb],
            )
            for route in ROUTES
        ),
    ]
    failures = (HTTPException, BudgetMemError, grpc.aio.AioRpcError, Exception)
    app = Starlette(routes=routes, exception_handlers=dict.fromkeys(failures, respond))
    # What leaves the slash off, or adds one, may mean another thing: it is not found.
    app.router.redirect_slashes = False
    if access.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=access.cors_origins,
            allow_methods=sorted({route.verb for route in ROUTES}),
            allow_headers=[*FORWARDED, "content-type", TIMEOUT_KEY, REQUEST_ID_KEY],
            expose_headers=[REQUEST_ID_KEY, "retry-after"],
        )
    return Common(LocalNamesOnly(app) if access.local_names_only else app)


class _Whole(Mounted):
    """A route of which a line break is a character like any other.

    Starlette ends its patterns with `$`, which also matches before a last line break, and its names
    have none: DELETE of the history "x\\n" would delete "x".
    """

    def __init__(self, path: str, endpoint: ASGIApp, methods: Sequence[str]) -> None:
        super().__init__(path, endpoint, methods=methods)
        self.path_regex = re.compile(self.path_regex.pattern.removesuffix("$") + r"\Z", re.DOTALL)


async def openapi(_request: Request) -> Response:
    """The document that `python -m server.http.openapi` wrote."""
    return Response(files("server.http").joinpath("openapi.json").read_bytes(), media_type=JSON)


def _health(ready: Callable[[], bool]) -> Callable[[Request], object]:
    # Not by a call: where gRPC has no place for one, the server is well all the same.
    async def health(_request: Request) -> Response:
        name, status = ("SERVING", 200) if ready() else ("NOT_SERVING", 503)
        return JSONResponse({"status": name}, status)

    return health
