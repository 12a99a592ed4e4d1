"""What is spent: budgets' windows, money put aside, and what became of it."""
