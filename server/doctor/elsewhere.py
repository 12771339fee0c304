"""Whether somebody listens where a server of the profile would ask: a Triton, endpoints."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from budgetmem.config import EndpointProfile
from budgetmem.endpoints.connecting import key_of
from budgetmem.errors import ConfigError
from budgetmem.hosts import bracketed
from server.doctor.findings import Finding, Level, Wanted
from server.doctor.machine import Machine

PORTS = {"http": 80, "https": 443}


def reached(check: str, address: str, advice: str) -> Finding:
    """Whether HOST:PORT accepts connections, and what to do if it does not. Nothing is sent."""
    host, _, port = address.rpartition(":")
    if not (host and port.isdecimal()):
        return Finding(check, Level.FAIL, f"{address!r} is not HOST:PORT", advice)
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=3).close()
    except (OSError, OverflowError) as exc:
        return Finding(check, Level.FAIL, f"{address}: {exc}", advice)
    return Finding(check, Level.OK, f"{address} accepts connections")


def endpoints(wanted: Wanted, machine: Machine) -> Iterator[Finding]:
    """Their keys and addresses; whether a key is the right one only a call could tell, which costs.

    A server asks each of them before it is ready.
    """
    for name, each in wanted.profile.endpoints.items():
        try:
            key_of(name, each, os.environ)
        except ConfigError as exc:
            yield Finding("endpoints", Level.FAIL, str(exc))
        else:
            yield _connected(name, each)


def _connected(name: str, endpoint: EndpointProfile) -> Finding:
    url = urlsplit(endpoint.base_url)
    host = url.hostname or ""
    if url.scheme == "https" and getproxies().keys() & {"https", "all"} and not proxy_bypass(host):
        return Finding("endpoints", Level.OK, f"{host} is behind a proxy: not tried")
    advice = f"start it, or correct the base_url of backbone {name!r} in the profile"
    return reached("endpoints", f"{bracketed(host)}:{url.port or PORTS[url.scheme]}", advice)
