"""The routers of a server: read from folders when it starts, and again on command."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

from budgetmem.config import Profile
from budgetmem.errors import ConfigError
from budgetmem.info import CostWeights, Frontier, RouterVersion
from budgetmem.policy_router import PolicyRouter
from budgetmem.router import FixedRouter, Router
from budgetmem.router_book import RouterBook, prepare


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

    def cost_weights(self) -> Mapping[str, CostWeights]:
        """Those that each trained router was trained for, by its strategy, at this moment."""
        return self._book.cost_weights()

    def frontiers(self) -> Mapping[str, Frontier]:
        """What each trained router came to in its training, if it tells, by its strategy."""
        return self._book.frontiers()

    async def open(self, folders: Iterable[Path]) -> None:
        """Puts the routers in `folders` in place, one a strategy.

        Raises ConfigError for a router that cannot serve, and for two of one strategy.
        """
        named: dict[str, Path] = {}
        routers: list[PolicyRouter] = []
        for folder in folders:
            router = await self._prepare(folder)
            if router.strategy in named:
                raise ConfigError(
                    f"{named[router.strategy]} and {folder} are both routers of the strategy "
                    f"{router.strategy!r}: name one of them"
                )
            named[router.strategy] = folder.absolute()
            routers.append(router)
        self._folders = named
        self._book.install(routers)

    async def reload(self, strategy: str = "") -> Sequence[RouterVersion]:
        """Reads the folder of a strategy again, or all of them, and puts the routers in place.

        All of them are exchanged in one step, or none. Raises ConfigError for a router that cannot
        serve, and where no folder was named; the old routers then go on.
        """
        wanted = [strategy] if strategy else list(self._folders)
        if not wanted or not set(wanted) <= set(self._folders):
            raise ConfigError(
                f"there is no trained router{strategy and f' of {strategy}'} to reload: name its "
                "folder when the server starts, `budgetmem serve --router FOLDER`"
            )
        async with self._reloading:
            fresh = [await self._prepare_again(name) for name in wanted]
            old = self.versions()
            self._book.install(fresh)
        return [
            RouterVersion(router.strategy, old[router.strategy], router.version) for router in fresh
        ]

    async def close(self) -> None:
        """Ends the thread, when the decisions that wait are made."""
        await self._book.close()
        self._executor.shutdown()

    async def _prepare_again(self, strategy: str) -> PolicyRouter:
        folder = self._folders[strategy]
        router = await self._prepare(folder)
        if router.strategy != strategy:
            raise ConfigError(
                f"{folder}: it now holds a router of the strategy {router.strategy!r}, but serves "
                f"{strategy!r}: put the right one there, or start the server anew"
            )
        return router

    async def _prepare(self, folder: Path) -> PolicyRouter:
        return await prepare(folder, self._profile, executor=self._executor, sample=self._sample)


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
