"""What a measurement was taken on: the machine, and the versions of what ran."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("budgetmem", "nvidia-pytriton", "openvino-genai", "onnxruntime", "numpy", "grpcio")


def describe() -> dict[str, object]:
    """CPU model, cores this process may use, memory in bytes, the load, and versions by package.

    A package that is not installed has the version None; nvidia-pytriton's says which tritonserver
    it carries. `load` is the number of runnable threads
    over the last minute, this program's among them: a busy machine gives slow figures.
    """
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "load": os.getloadavg()[0],
        "system": platform.platform(),
        "versions": {
            "python": platform.python_version(),
            **{package: _version(package) for package in PACKAGES},
        },
    }


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
