"""The version: pyproject.toml says it, the installed package knows it."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def installed_version() -> str:
    """The version of the installed package; `0+source` where it runs from a bare source tree."""
    try:
        return version("budgetmem")
    except PackageNotFoundError:
        return "0+source"
