"""Telling an operator what becomes of budgets: each thing once, in the log and by a signed webhook."""
