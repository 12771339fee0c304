"""BudgetMem: agent memory extracted at query time, for exactly the budget the caller grants."""
