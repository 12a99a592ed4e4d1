"""What a person's devices know: what has changed since they last asked, and what was done on them meanwhile."""
