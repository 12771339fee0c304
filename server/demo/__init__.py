"""The demonstration: `budgetmem demo`. Its conversation and questions come with the package."""
