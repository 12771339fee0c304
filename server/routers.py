"""The routers of a server: read from folders when it starts, and again on command."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

from budgetmem.config import Profile
from budgetmem.errors import ConfigError
from budgetmem.info import RouterVersion
from budgetmem.policy_router import PolicyRouter
from budgetmem.router import FixedRouter, Router
from budgetmem.router_artifact import check_for, load
from budgetmem.router_book import RouterBook, try_out


class ServedRouters:
    """The trained router of each strategy that has a folder; a fixed one for the others.

    With `sample` trained routers draw tiers by their probabilities, else they take the most
    probable one. They are scored in a thread of their own, which sleeps where there are none.
    """

    def __init__(self, profile: Profile, *, sample: bool = False) -> None:
        self.default: Router = FixedRouter()
        self._profile = profile
        self._sample = sample
        self._folders: dict[str, Path] = {}
        self._book = RouterBook(self.default)
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="router")
        self._reloading = asyncio.Lock()

    def of(self, strategy: str) -> Router:
        """The router of a strategy at this moment."""
        return self._book.of(strategy)

    def versions(self) -> Mapping[str, str]:
        """The version of every strategy's router at this moment."""
        return self._book.versions()

    async def open(self, folders: Iterable[Path]) -> None:
        """Puts the routers in `folders` in place, one a strategy.

        Raises ConfigError for a router that cannot serve, and for two of one strategy.
        """
        for folder in folders:
            strategy = await self._swap(folder)
            if strategy in self._folders:
                raise ConfigError(
                    f"{self._folders[strategy]} and {folder} are both routers of the strategy "
                    f"{strategy!r}: name one of them"
                )
            self._folders[strategy] = folder.resolve()

    async def reload(self, strategy: str = "") -> Sequence[RouterVersion]:
        """Reads the folder of a strategy again, or all of them, and puts the routers in place.

        All are checked before the first one is replaced. Raises ConfigError for a router that
        cannot serve, and where no folder was named; the old routers then go on.
        """
        wanted = [strategy] if strategy else list(self._folders)
        if not wanted or not set(wanted) <= set(self._folders):
            raise ConfigError(
                f"there is no trained router{strategy and f' of {strategy}'} to reload: name its "
                "folder when the server starts, `budgetmem serve --router FOLDER`"
            )
        async with self._reloading:
            for name in wanted:
                await self._check(name)
            return [await self._reload(name) for name in wanted]

    async def close(self) -> None:
        """Ends the thread, when the decisions that wait are made."""
        await self._book.close()
        self._executor.shutdown()

    async def _check(self, strategy: str) -> None:
        folder = self._folders[strategy]
        artifact = await asyncio.to_thread(load, folder)
        if artifact.card.strategy != strategy:
            raise ConfigError(
                f"{folder}: it now holds a router of the strategy {artifact.card.strategy!r}, but "
                f"serves {strategy!r}: put the right one there, or start the server anew"
            )
        check_for(artifact, self._profile)
        await try_out(PolicyRouter(artifact, executor=self._executor), artifact.card)

    async def _reload(self, strategy: str) -> RouterVersion:
        old = self.of(strategy).version
        await self._swap(self._folders[strategy])
        return RouterVersion(strategy, old, self.of(strategy).version)

    async def _swap(self, folder: Path) -> str:
        return await self._book.swap(
            folder, self._profile, executor=self._executor, sample=self._sample
        )


@asynccontextmanager
async def serving_routers(
    profile: Profile, folders: Iterable[Path], *, sample: bool = False
) -> AsyncIterator[ServedRouters]:
    """The routers in `folders` until the block ends. Options and errors are of ServedRouters."""
    routers = ServedRouters(profile, sample=sample)
    try:
        await routers.open(folders)
        yield routers
    finally:
        await routers.close()
