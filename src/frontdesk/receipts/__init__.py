"""Receipts: what became of one turn, for whom it belongs to, and for operators."""
