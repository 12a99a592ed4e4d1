"""Batches: the requests of a file, asked one by one while nobody waits, each as if its owner had sent it."""
