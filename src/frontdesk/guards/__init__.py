"""Filters on what goes out and what comes back, a file each."""
