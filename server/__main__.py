"""`budgetmem serve`, and `python -m server`."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from budgetmem.commands.failures import exit_code, report
from budgetmem.commands.grouped import grouped
from budgetmem.errors import BudgetMemError
from server.http.options import HttpOptions
from server.place import Place
from server.security.limit_options import LimitOptions
from server.security.options import SecurityOptions


@grouped
def serve(  # noqa: PLR0917  (the command line's options)
    place: Place,
    router: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FOLDER",
            help="A trained router, instead of the bundled one of its strategy; may be repeated.",
        ),
    ] = None,
    sample_tiers: Annotated[
        bool,
        typer.Option(help="Trained routers draw tiers by probability, or take the best one."),
    ] = False,
    port_file: Annotated[
        Path | None, typer.Option(help="Write the port there, once it is listened on.")
    ] = None,
    drain: Annotated[
        float, typer.Option(metavar="SECONDS", min=0, help="Time for running calls at the end.")
    ] = 10.0,
    metrics_port: Annotated[
        int | None,
        typer.Option(
            envvar="BUDGETMEM_METRICS_PORT",
            min=0,
            max=65535,
            help="Serve Prometheus metrics there, over HTTP; 0: any free port. Default: nowhere.",
        ),
    ] = None,
    metrics_host: Annotated[
        str,
        typer.Option(
            envvar="BUDGETMEM_METRICS_HOST",
            help="Address of the metrics. They ask for no key: keep it private.",
        ),
    ] = "127.0.0.1",
    otlp_endpoint: Annotated[
        str | None,
        typer.Option(
            envvar=["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"],
            metavar="URL",
            help="Send OpenTelemetry traces to this collector, by gRPC. Default: none.",
        ),
    ] = None,
    json_logs: Annotated[bool, typer.Option("--json-logs", help="Log JSON lines.")] = False,
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], typer.Option(help="What is logged.")
    ] = "warning",
    *,
    http: HttpOptions,
    security: SecurityOptions,
    limits: LimitOptions,
) -> None:
    """Start a server: load the models of a profile, then answer over gRPC, and HTTP, until stopped.

    \b
    budgetmem assets pull small && budgetmem serve
    budgetmem serve --router routers/capacity --router routers/reasoning
    budgetmem serve --no-bundled-routers
    budgetmem serve --profile tiny --port 0 --port-file port.txt
    budgetmem serve --profile gpu --triton-url triton:8001 --json-logs
    budgetmem serve --profile mine.toml   (may name OpenAI-compatible endpoints: docs/backbones.md)
    budgetmem serve --metrics-port 9464 --otlp-endpoint http://localhost:4317 --log-level info
    budgetmem serve --store postgresql://budgetmem@db.example.com/budgetmem
    budgetmem serve --http-port 8080
    budgetmem serve --console
    budgetmem keys create --tenant acme
    budgetmem serve --host 0.0.0.0 --tls-cert server.pem --tls-key server-key.pem
    """
    # What gRPC's core has to say of an error, the error says itself.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    # Imported here, so that `budgetmem --help` does not load models' libraries.
    from server.logs import configure  # noqa: PLC0415
    from server.observability.options import ObservabilityOptions  # noqa: PLC0415
    from server.serving import Options, run  # noqa: PLC0415

    configure(log_level, as_json=json_logs)
    options = Options(
        profile=place.profile,
        data_dir=place.data_folder,
        host=place.host,
        port=place.port,
        triton_url=place.triton_url,
        port_file=port_file,
        drain_s=drain,
        show_progress=not json_logs,
        routers=tuple(router or ()),
        bundled_routers=place.bundled_routers,
        sample_tiers=sample_tiers,
        security=security,
        limits=limits.limits,
        call_limits=limits.call_limits,
        connections=limits.max_connections,
        store=place.store,
        http=http,
        observability=ObservabilityOptions(metrics_host, metrics_port, otlp_endpoint),
    )
    asyncio.run(run(options, typer.echo))


def main() -> None:
    """Runs `serve` by itself, with the exit codes of `budgetmem`."""
    try:
        typer.run(serve)
    except BudgetMemError as exc:
        report(exc, as_json=False)
        sys.exit(exit_code(exc))


if __name__ == "__main__":
    main()
