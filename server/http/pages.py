"""The console's files, as they are in `server/console`, with what keeps a page to itself."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

INDEX = "index.html"
SCRIPTS = (
    *("api", "app", "budgets", "conversations", "dom"),
    *("frontier", "histories", "metrics", "numbers", "run", "transcript"),
)
FILES: Mapping[str, str] = {
    INDEX: "text/html",
    "style.css": "text/css",
    "icon.svg": "image/svg+xml",
    "example.jsonl": "application/x-ndjson",
    **{f"{name}.js": "text/javascript" for name in SCRIPTS},
}

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        # No text can become HTML, not even by a mistake in the page's own scripts.
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
HEADERS: Mapping[str, str] = {
    "content-security-policy": POLICY,
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-cache",
}


def console_pages() -> tuple[BaseRoute, ...]:
    """The page at `/`, and what it needs below `/console/`."""
    return Route("/", _index), Route("/console/{name}", _file)


async def _index(_request: Request) -> Response:
    return _served(INDEX)


async def _file(request: Request) -> Response:
    return _served(request.path_params["name"])


def _served(name: str) -> Response:
    media_type = FILES.get(name)
    if media_type is None:
        raise HTTPException(404)
    content = files("server.console").joinpath(name).read_bytes()
    return Response(content, headers=dict(HEADERS), media_type=media_type)
