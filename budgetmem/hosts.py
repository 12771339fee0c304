"""Which addresses stay on this machine."""

from __future__ import annotations

from ipaddress import ip_address

LOOPBACK = "127.0.0.1"
LOCAL_SCHEMES = ("unix:", "unix-abstract:")


def is_loopback(host: str) -> bool:
    """Whether a host is this machine and no other. A name that only resolves to it is not."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def bracketed(host: str) -> str:
    """A host as it stands before `:PORT`: in brackets if it is an address of IPv6."""
    return f"[{host.strip('[]')}]" if ":" in host else host


def stays_here(target: str) -> bool:
    """Whether what is sent to a gRPC target, such as HOST:PORT, does not leave this machine."""
    return target.startswith(LOCAL_SCHEMES) or is_loopback(target.rpartition(":")[0])
