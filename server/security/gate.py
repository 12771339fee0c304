"""The interceptor that every call passes: credential, scope, tenant, in this order."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

import grpc

from budgetmem.errors import PermissionDenied, Unauthenticated
from budgetmem.wire.requests import AUTHORIZATION_KEY
from server.errors import Handler, refusal
from server.security.permissions import check_scope, is_open
from server.security.principal import Principal, enter
from server.security.tenants import Metadata, check_named

logger = logging.getLogger(__name__)

SCHEME = "bearer"
NO_CREDENTIAL = (
    "this server asks for a credential: send `authorization: Bearer ...` with an API key or a token"
)
NOT_VALID = "the credential is not valid, or no longer"
"""Said of every credential that fails, whatever is wrong with it: an answer that told an unknown
key from an expired one would tell that there is such a key."""


class Authenticator(Protocol):
    """Verifies credentials."""

    async def authenticate(self, credential: str) -> Principal | None:
        """Who it is of; None for one that is not valid."""
        ...


class Gate(grpc.aio.ServerInterceptor):
    """Lets in whom one of the authenticators knows, to what the caller's scopes allow.

    A call that is refused ends before its message is read.
    """

    def __init__(self, authenticators: Sequence[Authenticator]) -> None:
        self._authenticators = authenticators

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        method = handler_call_details.method
        if is_open(method):
            return await continuation(handler_call_details)
        metadata: Any = handler_call_details.invocation_metadata or ()
        try:
            principal = await self.admitted(method, metadata)
        except (Unauthenticated, PermissionDenied) as exc:
            return refusal(exc)
        enter(principal)
        return await continuation(handler_call_details)

    async def admitted(self, method: str, metadata: Metadata) -> Principal:
        """Who makes this call. Raises Unauthenticated or PermissionDenied where it is refused."""
        try:
            principal = await self._caller(metadata)
            check_scope(principal, method)
            check_named(principal, metadata)
        except (Unauthenticated, PermissionDenied) as exc:
            logger.info("refused %.200r: %s", method, exc)
            raise
        return principal

    async def _caller(self, metadata: Metadata) -> Principal:
        credential = _bearer(metadata)
        for each in self._authenticators:
            if (principal := await each.authenticate(credential)) is not None:
                return principal
        raise Unauthenticated(NOT_VALID)


def _bearer(metadata: Metadata) -> str:
    headers = [value for key, value in metadata if key == AUTHORIZATION_KEY]
    if not headers:
        raise Unauthenticated(NO_CREDENTIAL)
    # Of two, something before the server may have checked the one and not the other.
    scheme, _, credential = str(headers[0]).partition(" ")
    if len(headers) > 1 or scheme.lower() != SCHEME or not credential:
        raise Unauthenticated(NOT_VALID)
    return credential
