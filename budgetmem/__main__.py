"""`python -m budgetmem` is the `budgetmem` command."""

from budgetmem.cli import main

main()
