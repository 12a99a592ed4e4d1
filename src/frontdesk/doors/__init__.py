"""The doors of /v1: each reads its shape, starts a turn, and names the sink that answers."""
