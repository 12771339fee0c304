"""The commands of `budgetmem`, one module each, mounted by `budgetmem.cli`."""
