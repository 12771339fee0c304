"""How either side of a gRPC connection finds out that the other one is gone."""

from __future__ import annotations


def keepalive(silence_s: float, answer_s: float) -> tuple[tuple[str, int], ...]:
    """Options of gRPC's core: after `silence_s` seconds without anything a sign of life is asked
    for, and without one within `answer_s` the connection ends, however often that is."""
    return (
        ("grpc.keepalive_time_ms", int(silence_s * 1e3)),
        # Makes TCP wait no longer for what is sent, on Linux.
        ("grpc.keepalive_timeout_ms", int(answer_s * 1e3)),
        # Of any question: one that is not answered keeps the next from being asked.
        ("grpc.http2.ping_timeout_ms", int(answer_s * 1e3)),
        # As often as it takes: the other side may be silent for long.
        ("grpc.http2.max_pings_without_data", 0),
    )
