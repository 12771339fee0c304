"""HTTP requests become gRPC's: message, metadata, deadline."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import Message
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request

from budgetmem.errors import UNREADABLE, InvalidInput
from budgetmem.timeouts import LONGEST_S, within
from budgetmem.wire.parts import TURN_PARTS
from budgetmem.wire.requests import AUTHORIZATION_KEY, TENANT_KEY
from server.http.faults import JSON
from server.http.routes import Route
from server.observability.calls import REQUEST_ID_KEY

TIMEOUT_KEY = "grpc-timeout"
"""gRPC's own header: unlike the others in use, it says its unit."""

TIMEOUT = re.compile(r"([0-9]{1,8})([HMSmun])")
UNITS_S: Mapping[str, float] = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}

FORWARDED = (AUTHORIZATION_KEY, TENANT_KEY, "traceparent", "tracestate")
"""Headers that gRPC gets as they are, each as often as it was sent."""

INLINE_BYTES = 64 * 1024
"""Bodies up to this size are read in the event loop, others in a worker: 16 MiB take 2 s."""

PIECE = 100
"""Items of a list that are converted at a time: with as many labels as they may have, they take a
few tenths of a second."""

MALFORMED = (*UNREADABLE, ParseError, AttributeError)
"""Protobuf's library raises them too."""


def metadata_of(headers: Headers, request_id: str) -> tuple[tuple[str, str], ...]:
    """The metadata of the call. Raises InvalidInput for a header that gRPC cannot carry."""
    return (*_forwarded(headers), (REQUEST_ID_KEY, request_id))


def _forwarded(headers: Headers) -> Iterator[tuple[str, str]]:
    for key in FORWARDED:
        for value in headers.getlist(key):
            if not (value.isascii() and value.isprintable()):
                raise InvalidInput(key, "must be printable ASCII")
            yield key, value


def timeout_of(headers: Headers) -> float | None:
    """Seconds until the caller's deadline, if any. Raises InvalidInput for a malformed one."""
    given = headers.get(TIMEOUT_KEY)
    if given is None:
        return None
    found = TIMEOUT.fullmatch(given)
    if found is None:
        raise InvalidInput(TIMEOUT_KEY, f"{given!r:.40} is not like 30S (seconds) or 1500m (ms)")
    return min(LONGEST_S, int(found[1]) * UNITS_S[found[2]])


def check_json(headers: Headers) -> None:
    """Raises HTTPException for a body that does not say that it is JSON.

    So a page of another site cannot have a browser send one: browsers ask for leave first.
    """
    given = headers.get("content-type", "").partition(";")[0].strip().lower()
    if given != JSON:
        raise HTTPException(415, f"the body must have the header `content-type: {JSON}`")


async def body_of(request: Request, most: int, seconds: float) -> bytes:
    """The body. Raises HTTPException where it has more than `most` bytes, or takes longer to come
    than `seconds`."""
    try:
        return await within(seconds, _read(request, most))
    except asyncio.TimeoutError as exc:
        # What is still to come would be taken for the next request.
        headers = {"connection": "close"}
        raise HTTPException(408, f"the body took longer than {seconds:g} s", headers) from exc


async def _read(request: Request, most: int) -> bytes:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > most:
            raise HTTPException(413, f"the body is larger than {most} bytes: send it in parts")
    return bytes(body)


async def message_of(route: Route, params: Mapping[str, Any], body: bytes, most: int) -> Message:
    """The request of the RPC.

    Raises InvalidInput for a body that is not the canonical JSON of its message, for a list of more
    than `most` items, for an item of more parts than a turn may have, and for a body that says
    other than the path.
    """
    whole, part = route.new_request()
    if route.body is not None:
        await _fill(part, body, most)
    for name, value in params.items():
        if getattr(part, name) not in {"", value}:
            raise InvalidInput(name, "the body names another than the path")
        setattr(part, name, value)
    return whole


async def _fill(message: Message, body: bytes, most: int) -> None:
    if len(body) <= INLINE_BYTES:
        for begin, piece in _pieces(_loaded(body, message, most)):
            _convert(piece, message, begin)
        return
    # The worker has others' work to do between two pieces.
    for begin, piece in _pieces(await asyncio.to_thread(_loaded, body, message, most)):
        await asyncio.to_thread(_convert, piece, message, begin)


def _loaded(body: bytes, message: Message, most: int) -> Mapping[str, Any]:
    """The object that a body is, which is small enough to be converted."""
    with _reading(message):
        # The library takes an empty array for an empty object.
        if not body.lstrip().startswith(b"{"):
            raise ParseError("an object begins with {")
        content: Mapping[str, Any] = json.loads(body.decode(), object_pairs_hook=_unique)
        for name, value in content.items():
            _check(name, value, most)
    return content


def _unique(pairs: Sequence[tuple[str, Any]]) -> Mapping[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = Counter(name for name, _ in pairs)
        raise ParseError(f"an object has {names.most_common(1)[0][0]!r:.40} twice")
    return found


def _check(name: str, value: object, most: int) -> None:
    """Before protobuf's library works on it: it takes tens of seconds for what fits into a body."""
    if not isinstance(value, list):
        _check_parts(name, value)
        return
    if len(value) > most:
        raise InvalidInput(name, f"are {len(value)}, {most} are the most: send several")
    for at, item in enumerate(value):
        _check_parts(f"{name}[{at}]", item)


def _check_parts(name: str, value: object) -> None:
    waiting, count = [value], 0
    while waiting:
        inside = waiting.pop()
        if isinstance(inside, (dict, list)):
            count += len(inside)
            if count > TURN_PARTS:
                raise InvalidInput(name, f"has more than {TURN_PARTS} values, nested ones too")
            waiting += inside.values() if isinstance(inside, dict) else inside


def _pieces(content: Mapping[str, Any]) -> Iterator[tuple[int, dict[str, Any]]]:
    """All of it with the first items of each list, then further ones, and where these begin."""
    lists = {name: value for name, value in content.items() if isinstance(value, list)}
    yield 0, {**content, **{name: value[:PIECE] for name, value in lists.items()}}
    for name, value in lists.items():
        for begin in range(PIECE, len(value), PIECE):
            yield begin, {name: value[begin : begin + PIECE]}


def _convert(piece: dict[str, Any], message: Message, begin: int) -> None:
    with _reading(message, f" (counted from {begin} on)" if begin else ""):
        # Of lists the library keeps nothing that is there.
        message.MergeFrom(ParseDict(piece, type(message)()))


@contextmanager
def _reading(message: Message, where: str = "") -> Iterator[None]:
    """Raises InvalidInput for what is not the JSON of a message."""
    try:
        yield
    except MALFORMED as exc:
        name = message.DESCRIPTOR.name
        raise InvalidInput("body", f"is not the JSON of {name}: {exc}{where}") from exc
