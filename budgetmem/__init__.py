"""BudgetMem: agent memory extracted at query time, for exactly the budget the caller grants."""

from budgetmem.version import installed_version

__version__ = installed_version()
