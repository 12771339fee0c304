"""The listening gRPC server: MemoryService, AdminService, health and reflection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc
from grpc_health.v1.health import SERVICE_NAME as HEALTH_SERVICE
from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server
from grpc_reflection.v1alpha import reflection

from budgetmem.errors import ConfigError
from budgetmem.hosts import bracketed
from budgetmem.info import Limits
from budgetmem.keepalive import keepalive
from budgetmem.proto.budgetmem.v1 import admin_pb2, memory_pb2
from budgetmem.proto.budgetmem.v1.admin_pb2_grpc import add_AdminServiceServicer_to_server
from budgetmem.proto.budgetmem.v1.memory_pb2_grpc import add_MemoryServiceServicer_to_server
from server.admin import AdminService
from server.arrival import Arrival
from server.connections import CONNECTIONS
from server.engine import Engine, EngineSlot
from server.errors import ErrorEdge
from server.health import Health
from server.room import CHECKS, WATCHES, CallLimits, Rooms
from server.security.security import Security
from server.service import MemoryService
from server.turnstile import Turnstile
from server.weighing import Weighing

SERVICE = memory_pb2.DESCRIPTOR.services_by_name["MemoryService"].full_name
ADMIN_SERVICE = admin_pb2.DESCRIPTOR.services_by_name["AdminService"].full_name
HEALTH_NAMES = ("", SERVICE, ADMIN_SERVICE)


@dataclass(frozen=True)
class Patience:
    """With connections whose other side may be gone, in seconds.

    After `silence_s` without a sign of life a connection is asked for one, and closed without an
    answer within `answer_s`; one that does not begin to speak gRPC within `greeting_s` is closed.
    A call has `message_s` for its message, and `check_s` if it needs no credential. A connection
    that is `age_s` old, give or take a tenth, is closed when its last call has ended; its client
    makes another and notices nothing.
    """

    silence_s: float = 30.0
    answer_s: float = 20.0
    greeting_s: float = 20.0
    message_s: float = 60.0
    check_s: float = 5.0
    age_s: float = 600.0

    @property
    def options(self) -> Sequence[tuple[str, int]]:
        """Of gRPC's core."""
        return (
            *keepalive(self.silence_s, self.answer_s),
            # Connections without calls too.
            ("grpc.keepalive_permit_without_calls", 1),
            # Clients may ask as well: ours do once a minute, and are not to be sent away for it.
            ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
            ("grpc.server_handshake_timeout_ms", int(self.greeting_s * 1e3)),
            # Not `max_connection_idle_ms`: it closes at once, with an error that clients log, and a
            # call that is on its way just then fails.
            ("grpc.max_connection_age_ms", int(self.age_s * 1e3)),
        )


class Doors:
    """Listens from `open` on, is NOT_SERVING until `serve` got an engine, and ends by `close`.

    The `interceptors` come first, the first of them first: what watches calls sees those too whose
    message never comes. Then the message is waited for, of which `patience` tells, then errors are
    translated, then `security` lets in whom it knows, then there is room for so many `calls`, and
    last for so many bytes of turns. `rooms` are for other doors to share. There may be so many
    `connections` at a time: more are closed as they come.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        security: Security | None = None,
        interceptors: Sequence[grpc.aio.ServerInterceptor] = (),
        calls: CallLimits | None = None,
        patience: Patience | None = None,
        *,
        connections: int = CONNECTIONS,
    ) -> None:
        limits, calls = limits or Limits(), calls or CallLimits()
        self._security = security or Security()
        patience = patience or Patience()
        self._slot = EngineSlot()
        self.rooms = Rooms(calls)
        self._health = Health(HEALTH_NAMES)
        self._server = grpc.aio.server(
            interceptors=[
                *interceptors,
                Arrival(patience.message_s, patience.check_s),
                ErrorEdge(),
                *self._security.interceptors,
                Turnstile(self.rooms, self._security.tenants),
                Weighing(self._security.tenants, limits),
            ],
            options=[
                ("grpc.max_receive_message_length", limits.message_bytes),
                ("grpc.max_send_message_length", limits.message_bytes),
                # Else a second server shares a taken port in silence, and the calls with it.
                ("grpc.so_reuseport", 0),
                # Of each address: callers at one take none from the doors of this process.
                ("grpc.max_allowed_incoming_connections", connections),
                *patience.options,
            ],
            # A last resort, which gives no hint when to come back: the turnstile refuses before.
            maximum_concurrent_rpcs=calls.calls.total + 2 * (CHECKS.total + WATCHES.total),
        )
        add_MemoryServiceServicer_to_server(
            MemoryService(self._slot, self._security.tenants), self._server
        )
        add_AdminServiceServicer_to_server(AdminService(self._slot), self._server)
        add_HealthServicer_to_server(self._health, self._server)
        if self._security.reflection:
            reflection.enable_server_reflection(
                (SERVICE, ADMIN_SERVICE, HEALTH_SERVICE, reflection.SERVICE_NAME), self._server
            )

    @property
    def ready(self) -> bool:
        """Whether health says SERVING. May be asked from any thread."""
        return self._health.ready

    async def open(self, host: str, port: int, local: Path | None = None) -> int:
        """Listens, on a free port if `port` is 0, and returns the port.

        At `local`, the name of a file that is not there yet, it listens too, without TLS: for
        other doors of this process, in a folder that is theirs alone. Raises ConfigError if the
        address cannot be had.
        """
        address = f"{bracketed(host)}:{port}"
        try:
            taken = self._listen(address)
        except RuntimeError as exc:
            raise ConfigError(f"cannot listen on {address}: is the port taken?") from exc
        if local is not None:
            self._listen_at(local)
        await self._server.start()
        return taken

    async def serve(self, engine: Engine) -> None:
        """From now on calls are answered by `engine`, and health says SERVING."""
        self._slot.fill(engine)
        self._health.tell(ready=True)

    async def pause(self) -> None:
        """Health says NOT_SERVING; calls are still let in, and fail if the models are away."""
        self._health.tell(ready=False)

    async def resume(self) -> None:
        """Health says SERVING again."""
        self._health.tell(ready=True)

    async def close(self, grace_s: float) -> None:
        """Refuses new calls and gives running ones `grace_s` seconds to end."""
        self._health.close()
        await self._server.stop(grace_s)

    def _listen(self, address: str) -> int:
        if self._security.credentials is None:
            return self._server.add_insecure_port(address)
        return self._server.add_secure_port(address, self._security.credentials)

    def _listen_at(self, file: Path) -> None:
        try:
            self._server.add_insecure_port(f"unix:{file}")
        except RuntimeError as exc:
            raise ConfigError(
                f"cannot listen at {file}: such names are about 100 characters long at most; name "
                "a folder for temporary files by TMPDIR that is short, and can be written to"
            ) from exc
