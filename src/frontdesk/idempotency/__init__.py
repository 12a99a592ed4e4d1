"""Requests that are done once: the header Idempotency-Key, and what is kept under it."""
