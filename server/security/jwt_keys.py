"""The keys that tokens are verified with: from a file, or from an identity provider's URL."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import httpx
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwt import PyJWK
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from jwt.exceptions import PyJWTError

from budgetmem.errors import ConfigError
from budgetmem.hosts import is_loopback
from budgetmem.timeouts import within
from server.security.watched import Watched

logger = logging.getLogger(__name__)

ALGORITHMS = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
)
"""Of public keys. A key has one of them, and a token is verified by that of its key."""

SECRET_ALGORITHM = "HS256"
SECRET_BYTES = 32
PEM = b"-----BEGIN "
TEXTS = ("kty", "use", "alg", "kid", "crv", "n", "e", "x", "y")
"""Members of a JSON Web Key that are texts; providers may also write null for none."""

FRESH_S = 300.0
RETRY_S = 30.0
FETCH_S = 10.0
"""For the whole of a fetch: callers wait for it."""

LARGEST = 1 << 20
"""Bytes of an answer with keys. A key takes some hundreds."""

Keys = tuple[PyJWK, ...]


class KeySource(Protocol):
    """Finds the key of a token."""

    async def find(self, key_id: str | None) -> PyJWK | None:
        """The key of this id (`kid`), None if there is none.

        Where there is one key only, and it has no id, it is that of every token.
        """
        ...


class FileKeys:
    """The keys in a file, which is read again when it changes. Raises ConfigError at first."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._keys = Watched([path], lambda: read_key_file(path), clock=clock)

    async def find(self, key_id: str | None) -> PyJWK | None:
        return _chosen(self._keys.value, key_id)


class UrlKeys:
    """The JSON Web Key Set at a URL, fetched when the server starts and again every FRESH_S.

    Keys that are due are waited for: of the old ones, one may have been withdrawn during a silence.
    Where they cannot be fetched, the old ones go on until they are due again. A token of an unknown
    key has them fetched at once, but not within RETRY_S of the last time: nobody can make this
    server call its identity provider as often as he likes. `clock` is in seconds.
    """

    def __init__(
        self,
        keys: Keys,
        fetch: Callable[[], Awaitable[bytes]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keys = keys
        self._fetch = fetch
        self._clock = clock
        self._tried = clock()
        self._refreshing: asyncio.Task[None] | None = None
        self._due = False

    @classmethod
    async def open(
        cls, fetch: Callable[[], Awaitable[bytes]], clock: Callable[[], float] = time.monotonic
    ) -> UrlKeys:
        """Fetches the keys. Raises ConfigError where that fails, or where there are none."""
        return cls(_key_set(await fetch()), fetch, clock)

    async def find(self, key_id: str | None) -> PyJWK | None:
        found = _chosen(self._keys, key_id)
        age = self._clock() - self._tried
        if self._refreshing is None and age >= (RETRY_S if found is None else FRESH_S):
            self._tried = self._clock()
            self._due = age >= FRESH_S
            self._refreshing = asyncio.create_task(self._refresh())
        # Known keys wait for those that are due alone: tokens of unknown keys hold up nobody else.
        if self._refreshing is not None and (found is None or self._due):
            await asyncio.shield(self._refreshing)
            found = _chosen(self._keys, key_id)
        return found

    async def _refresh(self) -> None:
        try:
            self._keys = _key_set(await self._fetch())
        except ConfigError as exc:
            logger.warning("the keys of tokens that were fetched before stay in use: %s", exc)
        finally:
            self._refreshing = None


def fetcher(url: str, client: httpx.AsyncClient) -> Callable[[], Awaitable[bytes]]:
    """What fetches a URL. Raises ConfigError for one that is none, or that others could answer; so
    does a fetch that fails."""
    try:
        # A port out of range, and a name that is none, are told where they are asked for.
        parts, host = urlsplit(url), httpx.URL(url).host
        _ = parts.port
    except (ValueError, httpx.InvalidURL) as exc:
        raise ConfigError(f"{url} is not a URL of keys: {exc}") from exc
    if parts.scheme != "https" and not is_loopback(host):
        raise ConfigError(f"{url}: keys are only fetched by https")

    async def fetch() -> bytes:
        try:
            return await within(FETCH_S, _content(client, url))
        except httpx.HTTPError as exc:
            raise ConfigError(f"cannot fetch keys from {url}: {exc}") from exc
        except asyncio.TimeoutError as exc:
            raise ConfigError(f"cannot fetch keys from {url} within {FETCH_S:.0f} s") from exc

    return fetch


async def _content(client: httpx.AsyncClient, url: str) -> bytes:
    # What is compressed may be a thousand times as large.
    plain = {"accept-encoding": "identity"}
    async with client.stream(
        "GET", url, headers=plain, timeout=FETCH_S, follow_redirects=False
    ) as response:
        response.raise_for_status()
        content = bytearray()
        async for part in response.aiter_bytes():
            content += part
            if len(content) > LARGEST:
                raise ConfigError(f"{url} answers with more than {LARGEST} bytes: no set of keys")
    return bytes(content)


def read_key_file(path: Path) -> Keys:
    """The keys in a file: a public key in PEM, a JSON Web Key (Set) of public keys, or a secret.

    Raises ConfigError for a file that is none of these, or whose secret is too short to be safe.
    """
    try:
        content = path.read_bytes().strip()
    except OSError as exc:
        raise ConfigError(f"cannot read the key of tokens: {path}: {exc.strerror}") from exc
    try:
        if content.startswith(PEM):
            return (_of_pem(content),)
        if content.startswith(b"{"):
            return _key_set(content)
    except ConfigError as exc:
        raise ConfigError(f"{path}: {exc}") from exc
    if len(content) < SECRET_BYTES:
        raise ConfigError(
            f"{path}: a secret of {len(content)} bytes can be guessed; at least {SECRET_BYTES} are "
            "needed: openssl rand -hex 32"
        )
    encoded = base64.urlsafe_b64encode(content).decode()
    return (PyJWK({"kty": "oct", "k": encoded}, SECRET_ALGORITHM),)


def _of_pem(content: bytes) -> PyJWK:
    try:
        key: Any = load_pem_public_key(content)
    except (ValueError, UnsupportedAlgorithm) as exc:
        # A private key does not belong on a server that only verifies.
        raise ConfigError("not a public key: openssl pkey -in PRIVATE -pubout") from exc
    kind: Any = OKPAlgorithm
    if isinstance(key, RSAPublicKey):
        kind = RSAAlgorithm
    elif isinstance(key, EllipticCurvePublicKey):
        kind = ECAlgorithm
    try:
        return PyJWK(kind.to_jwk(key, as_dict=True))
    except PyJWTError as exc:
        raise ConfigError(f"no signature is made with such a key: {exc}") from exc


def _key_set(content: bytes) -> Keys:
    """Those of a JSON Web Key Set that tokens can be signed with, or the one of a JSON Web Key."""
    try:
        parsed = json.loads(content)
    except (ValueError, RecursionError) as exc:
        raise ConfigError("not JSON") from exc
    listed = parsed.get("keys", [parsed]) if isinstance(parsed, dict) else None
    found = map(_public, listed if isinstance(listed, list) else [])
    keys = tuple(key for key in found if key is not None)
    if not keys:
        raise ConfigError("it has no public key that signatures are made with")
    return keys


def _public(jwk: Any) -> PyJWK | None:  # noqa: ANN401  (whatever the JSON holds)
    """None for what is no public key for signatures; a set may hold such keys beside ours."""
    usable = (
        isinstance(jwk, dict)
        and all(isinstance(jwk.get(name), str | None) for name in TEXTS)
        # A private key does not belong on a server that only verifies, and cannot.
        and "d" not in jwk
        and jwk.get("kty") in {"RSA", "EC", "OKP"}
        and jwk.get("use", "sig") == "sig"
        and jwk.get("alg", "RS256") in ALGORITHMS
    )
    if not usable:
        return None
    try:
        key = PyJWK(jwk)
    except (PyJWTError, UnsupportedAlgorithm):
        return None
    return key if key.algorithm_name in ALGORITHMS else None


def _chosen(keys: Sequence[PyJWK], key_id: str | None) -> PyJWK | None:
    if len(keys) == 1 and keys[0].key_id is None:
        return keys[0]
    named = (key for key in keys if key_id is not None and key.key_id == key_id)
    return next(named, None)
