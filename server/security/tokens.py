"""JSON Web Tokens: verified, and read as a tenant and scopes."""

from __future__ import annotations

import logging
from typing import Any

import jwt
from jwt.exceptions import PyJWTError

from server.security.jwt_keys import KeySource
from server.security.options import Claims
from server.security.principal import Principal, Scope

logger = logging.getLogger(__name__)

LEEWAY_S = 10.0
"""How far the clocks of this machine and of whoever signs may be apart."""


class Tokens:
    """Verifies tokens: signature, expiry, and what `claims` asks for.

    The algorithm is that of the key, whatever the token says. A token without expiry, without
    tenant, or for some audience where none was named, is not valid.
    """

    def __init__(self, keys: KeySource, claims: Claims) -> None:
        self._keys = keys
        self._claims = claims

    async def authenticate(self, credential: str) -> Principal | None:
        """Whose token it is; None for one that is not valid."""
        if credential.count(".") != 2:
            return None
        try:
            return self._principal(await self._verified(credential))
        except PyJWTError as exc:
            # By its kind alone: messages may quote the token.
            logger.info("a token was refused: %s", type(exc).__name__)
            return None

    async def _verified(self, token: str) -> dict[str, Any]:
        key = await self._keys.find(jwt.get_unverified_header(token).get("kid"))
        if key is None:
            raise jwt.InvalidKeyError
        return jwt.decode(
            token,
            key,
            algorithms=[key.algorithm_name],
            audience=self._claims.audience,
            issuer=self._claims.issuer,
            leeway=LEEWAY_S,
            options={"require": ["exp"]},
        )

    def _principal(self, claims: dict[str, Any]) -> Principal:
        tenant = claims.get(self._claims.tenant)
        if not isinstance(tenant, str) or not tenant.strip():
            raise jwt.MissingRequiredClaimError(self._claims.tenant)
        scopes = claims.get(self._claims.scope)
        words = scopes.split() if isinstance(scopes, str) else scopes
        granted = [scope for scope in Scope if isinstance(words, list) and scope.value in words]
        return Principal(tenant, frozenset(granted), f"token of {claims.get('sub')!r:.80}")
