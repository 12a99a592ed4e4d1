"""Statements about summaries and facts."""
