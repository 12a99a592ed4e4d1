"""Benchmarks: each figure is a ratio to a baseline of the same run. See README.md."""
