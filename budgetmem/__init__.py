"""BudgetMem: agent memory extracted at query time, for exactly the budget the caller grants."""

from __future__ import annotations


def __getattr__(name: str) -> str:
    """`__version__`. Looked up when it is asked for: reading what is installed takes longer than
    all else that importing the package does."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from budgetmem.version import installed_version  # noqa: PLC0415

    return installed_version()
