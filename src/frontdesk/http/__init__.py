"""The edge kit: the HTTP protocol's patience, bodies, errors, and the two ways in."""
