"""The server's life: check, listen, load, serve, drain, stop."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from budgetmem import endpoints, triton
from budgetmem.assets import asset_dir
from budgetmem.backbone import Models
from budgetmem.breakers import Breakers
from budgetmem.bundled_routers import router_folder, with_bundled
from budgetmem.config import Profile, load_profile
from budgetmem.errors import ConfigError
from budgetmem.gather import gather_or_cancel
from budgetmem.guarded import GuardedModels, Outage, breakers_of
from budgetmem.hosts import bracketed
from budgetmem.info import Limits
from budgetmem.scheduling.models import ScheduledModels
from server.assembly import build_engine, open_scheduler
from server.canary import Canaries
from server.connections import CONNECTIONS, connections_of_each
from server.doors import Doors
from server.errands import Errands
from server.http.door import http_door, socket_file
from server.http.options import HttpOptions
from server.observability.observing import Observability, observing
from server.observability.options import ObservabilityOptions
from server.observability.state import StateCollector
from server.progress import loading_display
from server.render import render
from server.restarts import Restarts
from server.room import CallLimits
from server.routers import ServedRouters, serving_routers
from server.security.options import SecurityOptions
from server.security.security import opened
from server.stores import FOLDER, OpenStore, opened_store
from server.triton_install import check_backends
from server.triton_process import EmbeddedTriton
from server.workers import Workers

logger = logging.getLogger(__name__)

SWITCH_INTERVAL_S = 0.0005
"""How long a worker may keep the event loop from Python's global lock; Python's default is ten
times as long. A call needs the loop several times before it is known whose it is."""


@dataclass(frozen=True)
class Options:
    """What `budgetmem serve` was told. Port 0 is any free port; `drain_s` are seconds.

    `routers` are folders of trained routers, or names of bundled ones, one a strategy; with
    `bundled_routers` those of the profile serve the other strategies. With `sample_tiers` they draw
    tiers by their probabilities instead of taking the most probable one. `store` is a folder, or
    the URL of a database; None is a folder in `data_dir`. There are so many `connections` at a time
    of gRPC, and as many of HTTP, where the process may have as many files open.
    """

    profile: str
    data_dir: Path
    host: str
    port: int
    triton_url: str | None = None
    port_file: Path | None = None
    drain_s: float = 10.0
    show_progress: bool = True
    routers: tuple[Path, ...] = ()
    bundled_routers: bool = True
    sample_tiers: bool = False
    security: SecurityOptions = field(default_factory=SecurityOptions)
    limits: Limits = field(default_factory=Limits)
    call_limits: CallLimits = field(default_factory=CallLimits)
    connections: int = CONNECTIONS
    # It may hold a password.
    store: str | None = field(default=None, repr=False)
    observability: ObservabilityOptions = field(default_factory=ObservabilityOptions)
    http: HttpOptions = field(default_factory=HttpOptions)


async def run(options: Options, announce: Callable[[str], None]) -> None:
    """Serves until SIGTERM or SIGINT; a second signal ends the draining.

    Raises AssetError for what is not downloaded, ConfigError for a profile, a router, a key, a
    certificate, a store, an address or a file for the port that cannot work, StoreUnavailable for a
    database that cannot be reached, BackboneUnavailable for a Triton that does not come up or goes
    for good.
    """
    loop = asyncio.get_running_loop()
    loop.set_default_executor(Workers())
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    life = asyncio.ensure_future(_live(options, announce))
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, life.cancel)
    try:
        await life
    except asyncio.CancelledError:
        logger.info("stopped")


async def _live(options: Options, announce: Callable[[str], None]) -> None:
    begin = time.monotonic()
    profile = load_profile(options.profile)
    check_assets(profile, embedded=options.triton_url is None)
    async with AsyncExitStack() as stack:
        front = await _opened_front(stack, options, profile, announce)
        back = await _opened_back(stack, options, profile, front)
        errands = Errands(options.call_limits.store)
        stack.push_async_callback(errands.close)
        engine = build_engine(
            profile,
            back.models,
            options.data_dir,
            back.models.forget,
            scheduler=back.models.scheduler,
            routers=front.routers,
            breakers=front.breakers,
            limits=options.limits,
            tracer=front.seen.tracer,
            opened=front.store,
            errands=errands,
        )
        await front.doors.serve(front.seen.engine(engine))
        stack.push_async_callback(front.doors.close, options.drain_s)
        address = f"{bracketed(options.host)}:{front.port}"
        announce(f"ready on {address} in {time.monotonic() - begin:.1f} s")
        await gather_or_cancel(
            [
                back.canaries.run(),
                front.store.keep_forgetting(back.models),
                _watch(back, front),
            ]
        )


@dataclass(frozen=True)
class _Front:
    """What stands before the models. Its doors are open while they load, and tell so."""

    store: OpenStore
    seen: Observability
    routers: ServedRouters
    breakers: Breakers
    doors: Doors
    port: int


async def _opened_front(
    stack: AsyncExitStack, options: Options, profile: Profile, announce: Callable[[str], None]
) -> _Front:
    # Before anybody is listened to: a database that is away, or too old, ends the start.
    store = stack.enter_context(opened_store(options.store or str(options.data_dir / FOLDER)))
    seen = await stack.enter_async_context(observing(options.observability, announce))
    security = await stack.enter_async_context(
        opened(options.security, options.host, options.data_dir)
    )
    if options.http.port is not None:
        options.security.check_reach(options.http.http_host, authenticates=security.authenticates)
    connections = connections_of_each(
        options.connections, doors=1 if options.http.port is None else 2
    )
    doors = Doors(
        options.limits,
        security,
        [seen.interceptor],
        options.call_limits,
        connections=connections,
    )
    folders = await asyncio.to_thread(router_folders, options)
    routers = await stack.enter_async_context(
        serving_routers(profile, folders, sample=options.sample_tiers)
    )
    breakers = breakers_of(profile.backbones)
    seen.watch_state(
        StateCollector(profile.name, lambda: doors.ready, routers.versions, breakers.states)
    )
    local = stack.enter_context(socket_file(options.http))
    port = await doors.open(options.host, options.port, local)
    stack.push_async_callback(doors.close, 0)
    await stack.enter_async_context(
        http_door(
            options.http,
            options.security.tls,
            security,
            options.limits,
            doors.rooms,
            local=local,
            announce=announce,
            watched=seen.admitting,
            ready=lambda: doors.ready,
            connections=connections,
        )
    )
    if options.port_file is not None:
        _tell_port(options.port_file, port)
    return _Front(store, seen, routers, breakers, doors, port)


def _tell_port(file: Path, port: int) -> None:
    try:
        file.write_text(f"{port}\n", encoding="ascii")
    except OSError as exc:
        raise ConfigError(f"cannot write the port to {file}: {exc.strerror}") from exc


@dataclass(frozen=True)
class _Back:
    """The models, and what watches over them. `own` is the Triton that was started for them."""

    models: ScheduledModels
    canaries: Canaries
    own: EmbeddedTriton | None
    outage: Outage


async def _opened_back(
    stack: AsyncExitStack, options: Options, profile: Profile, front: _Front
) -> _Back:
    outage, seen = Outage(), front.seen
    connection, own = await stack.enter_async_context(
        connected(
            profile,
            options.triton_url,
            show_progress=options.show_progress,
            on_trouble=outage.begin,
        )
    )
    guarded = GuardedModels(seen.models(connection, profile.endpoints), front.breakers, outage)
    canaries = Canaries(
        guarded,
        front.breakers,
        billed=frozenset(profile.endpoints),
        give_up=own.give_up if own else _left_alone,
    )
    await canaries.send_all()
    models = await stack.enter_async_context(scheduled(profile, guarded, seen))
    seen.watch_scheduler(models.scheduler.stats)
    return _Back(models, canaries, own, outage)


def router_folders(options: Options) -> list[Path]:
    """Where the trained routers are that are to serve. Raises ConfigError for one that is not."""
    named = [router_folder(each) for each in options.routers]
    return with_bundled(options.profile, named) if options.bundled_routers else named


def check_assets(profile: Profile, *, embedded: bool) -> None:
    """Raises ConfigError for models that the embedded Triton cannot serve, AssetError naming the
    first thing that is not downloaded.

    A Triton elsewhere has the weights itself; only tokenizers are looked for, by `connect`.
    """
    if not embedded:
        return
    check_backends(profile)
    for name in profile.assets:
        asset_dir(name)


@asynccontextmanager
async def loaded(
    profile: Profile,
    triton_url: str | None = None,
    *,
    show_progress: bool = False,
    seen: Observability | None = None,
) -> AsyncIterator[tuple[ScheduledModels, EmbeddedTriton | None]]:
    """As `connected`, behind a tier scheduler, which is closed before the models are; both watched
    by `seen`."""
    seen = seen or Observability()
    async with (
        connected(profile, triton_url, show_progress=show_progress) as (connection, own),
        scheduled(profile, seen.models(connection, profile.endpoints), seen) as models,
    ):
        yield models, own


@asynccontextmanager
async def scheduled(
    profile: Profile, models: Models, seen: Observability
) -> AsyncIterator[ScheduledModels]:
    """Models behind a tier scheduler of their own."""
    async with open_scheduler(profile, seen.tracer) as scheduler:
        yield ScheduledModels(models, scheduler, encoder_tokens=profile.encoder.max_tokens)


@asynccontextmanager
async def connected(
    profile: Profile,
    triton_url: str | None = None,
    *,
    show_progress: bool = False,
    on_trouble: Callable[[], None] | None = None,
) -> AsyncIterator[tuple[triton.Models, EmbeddedTriton | None]]:
    """The models of a profile: its endpoints, and what is on the Triton named, or on one that is
    started for it, whose troubles are then told."""
    async with AsyncExitStack() as stack:
        over_http = await stack.enter_async_context(endpoints.connected(profile))
        own = None
        if triton_url is None:
            check_backends(profile)
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="budgetmem-")))
            render(profile, folder)
            with loading_display(show_progress) as on_progress:
                own = EmbeddedTriton(folder, on_progress=on_progress, on_trouble=on_trouble)
                await stack.enter_async_context(own)
        models = await triton.connect(profile, own.url if own else str(triton_url), asset_dir)
        stack.push_async_callback(models.close)
        if over_http:
            models = replace(models, backbones={**models.backbones, **over_http})
        yield models, own


def _left_alone(model: str) -> None:
    """A Triton elsewhere is not ours to start anew: that its breaker opens has to do."""


async def _watch(back: _Back, front: _Front) -> None:
    """Waits for ever, and keeps the embedded Triton running meanwhile."""
    if back.own is None:
        await asyncio.Event().wait()
        return

    async def went() -> None:
        back.outage.begin()
        await front.doors.pause()
        front.seen.triton_restarts.inc()

    async def returned() -> None:
        front.breakers.reset()
        back.outage.end()
        await front.doors.resume()

    await Restarts().keep_running(back.own, went, returned)
