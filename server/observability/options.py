"""What a server is told about telling of itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ObservabilityOptions:
    """Where metrics are served and traces are sent.

    `metrics_port` None serves no metrics, 0 on any free port. `otlp_endpoint` (http://HOST:PORT, or
    https) is a collector that speaks OTLP over gRPC; None sends no traces.
    """

    metrics_host: str = "127.0.0.1"
    metrics_port: int | None = None
    otlp_endpoint: str | None = None
