"""Tokens of a text, exactly, as the provider's own tokenizer cuts it: for budgets that are nearly spent."""
