"""What the doors need to know of security: made from the options when the server starts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import httpx

from server.security.api_keys import ApiKeys
from server.security.gate import Authenticator, Gate
from server.security.jwt_keys import FileKeys, KeySource, UrlKeys, fetcher
from server.security.options import SecurityOptions
from server.security.tenants import Metadata, NamedTenants, ProvenTenants, Tenants
from server.security.tls import server_credentials
from server.security.tokens import Tokens


@dataclass(frozen=True)
class Security:
    """By default everybody is let in and says which tenant is meant: for loopback alone."""

    interceptors: tuple[Gate, ...] = ()
    tenants: Tenants = field(default_factory=NamedTenants)
    credentials: grpc.ServerCredentials | None = None
    reflection: bool = True

    @property
    def authenticates(self) -> bool:
        """Whether callers are asked for a credential."""
        return bool(self.interceptors)

    async def admit(self, method: str, metadata: Metadata) -> str:
        """The tenant of a call that another door is going to make. Raises what the gate would
        refuse it with."""
        for gate in self.interceptors:
            return (await gate.admitted(method, metadata)).tenant
        return self.tenants.of(metadata)


def guarded(*authenticators: Authenticator, reflection: bool = False) -> Security:
    """Everybody needs a credential that one of these knows, and is the tenant that it says."""
    return Security((Gate(authenticators),), ProvenTenants(), reflection=reflection)


@asynccontextmanager
async def opened(options: SecurityOptions, host: str, data_dir: Path) -> AsyncIterator[Security]:
    """The security of a server on `host`, until the block ends.

    Raises ConfigError for options that cannot work, or that would let other machines in unguarded.
    """
    authenticates = options.authenticates(data_dir)
    options.check_reach(host, authenticates=authenticates)
    tls = None if options.tls is None else server_credentials(options.tls)
    async with AsyncExitStack() as stack:
        authenticators: list[Authenticator] = []
        if authenticates:
            authenticators.append(ApiKeys(options.keys_path(data_dir)))
        if options.jwt_key is not None:
            authenticators.append(Tokens(await _key_source(options.jwt_key, stack), options.claims))
        reflection = not authenticates if options.reflection is None else options.reflection
        yield Security(
            interceptors=(Gate(authenticators),) if authenticates else (),
            tenants=ProvenTenants() if authenticates else NamedTenants(),
            credentials=tls,
            reflection=reflection,
        )


async def _key_source(file_or_url: str, stack: AsyncExitStack) -> KeySource:
    if not file_or_url.startswith(("https://", "http://")):
        return FileKeys(Path(file_or_url))
    # A proxy that the environment names could answer in the clear, with keys of its own.
    with_tls = file_or_url.startswith("https://")
    client = await stack.enter_async_context(httpx.AsyncClient(trust_env=with_tls))
    return await UrlKeys.open(fetcher(file_or_url, client))
