"""What all requests and responses have in common."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from budgetmem.errors import PermissionDenied
from budgetmem.hosts import is_loopback
from server.http.faults import fault_of
from server.observability.calls import REQUEST_ID_KEY, request_id_of

HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
"""Of every response that does not say otherwise: what it has belongs to one tenant."""


def request_id(scope: Scope) -> str:
    """The request id of a request that came through `Common`."""
    return str(scope["state"][REQUEST_ID_KEY])


class Common:
    """Names every request, and adds the name and HEADERS to its response."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        name = request_id_of(Headers(scope=scope).items())
        scope.setdefault("state", {})[REQUEST_ID_KEY] = name

        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers[REQUEST_ID_KEY] = name
                for key, value in HEADERS.items():
                    headers.setdefault(key, value)
            await send(message)

        await self._app(scope, receive, named)


class LocalNamesOnly:
    """Refuses requests for any other name than this machine's own.

    For a server that asks nobody for a credential: else the page of any site that a browser shows
    could give its own name the address 127.0.0.1, and read all there is (DNS rebinding).
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        host = Headers(scope=scope).get("host", "")
        if is_loopback(_name(host)):
            await self._app(scope, receive, send)
            return
        refusal = PermissionDenied(
            f"{host!r:.200} is not a name of this machine, and this server asks for no credential"
        )
        await fault_of(refusal).response(scope, receive, send)


def _name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
