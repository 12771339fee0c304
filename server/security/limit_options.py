"""The limits of requests, of histories and of calls on them, as options of the command line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from budgetmem.info import BATCH_TURNS, Limits
from budgetmem.validation import LIMITS, MAX_QUERY_BYTES
from server.connections import CONNECTIONS
from server.room import CallLimits, Share

CALLS = CallLimits()

MAX_TURN_BYTES = 4 * LIMITS["text"]
"""A character has four bytes of UTF-8 at most."""


@dataclass(frozen=True)
class LimitOptions:
    """Options of the command line, under its names."""

    max_message_bytes: Annotated[
        int, typer.Option(metavar="BYTES", min=1024, help="Largest message, both ways.")
    ] = Limits.message_bytes
    max_query_bytes: Annotated[
        int, typer.Option(metavar="BYTES", min=1, max=MAX_QUERY_BYTES, help="Longest query.")
    ] = Limits.query_bytes
    max_turn_bytes: Annotated[
        int, typer.Option(metavar="BYTES", min=1, max=MAX_TURN_BYTES, help="Longest turn.")
    ] = Limits.turn_bytes
    max_history_turns: Annotated[
        int, typer.Option(metavar="TURNS", min=1, help="Most turns of a history.")
    ] = Limits.history_turns
    max_history_bytes: Annotated[
        int, typer.Option(metavar="BYTES", min=1, help="Most text of a history, in UTF-8.")
    ] = Limits.history_bytes

    max_message_turns: Annotated[
        int,
        typer.Option(metavar="TURNS", min=BATCH_TURNS, help="Most turns of one message."),
    ] = Limits.message_turns
    max_retrieval_tokens: Annotated[
        int, typer.Option(metavar="TOKENS", min=1, help="Most that a query may retrieve.")
    ] = Limits.retrieval_tokens

    max_calls: Annotated[
        int, typer.Option(metavar="CALLS", min=1, help="Most calls at a time, waiting ones too.")
    ] = CALLS.calls.total
    max_tenant_calls: Annotated[
        int, typer.Option(metavar="CALLS", min=1, help="Of these, most of one tenant.")
    ] = CALLS.calls.tenant
    max_store_calls: Annotated[
        int,
        typer.Option(
            metavar="CALLS", min=1, help="Most calls on histories at a time, and most exports."
        ),
    ] = CALLS.store.total
    max_tenant_store_calls: Annotated[
        int, typer.Option(metavar="CALLS", min=1, help="Of these, most of one tenant.")
    ] = CALLS.store.tenant

    max_connections: Annotated[
        int,
        typer.Option(
            metavar="CONNECTIONS",
            min=1,
            help="Most connections of gRPC at a time, and as many of HTTP; fewer if `ulimit -Hn` "
            "is too low for them.",
        ),
    ] = CONNECTIONS

    @property
    def call_limits(self) -> CallLimits:
        return CallLimits(
            Share(self.max_calls, self.max_tenant_calls),
            Share(self.max_store_calls, self.max_tenant_store_calls),
        )

    @property
    def limits(self) -> Limits:
        return Limits(
            message_bytes=self.max_message_bytes,
            query_bytes=self.max_query_bytes,
            turn_bytes=self.max_turn_bytes,
            history_turns=self.max_history_turns,
            history_bytes=self.max_history_bytes,
            message_turns=self.max_message_turns,
            retrieval_tokens=self.max_retrieval_tokens,
        )
