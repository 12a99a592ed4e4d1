"""Rows of kept turns."""
