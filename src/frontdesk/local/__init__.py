"""Models that run on this machine: their files, and the child processes that run them."""
