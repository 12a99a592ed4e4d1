"""Files that callers upload, and those that batches make for them: stored here, in pieces."""
