"""Conversations that callers have kept: items in order, in branches, each its owner's alone."""
