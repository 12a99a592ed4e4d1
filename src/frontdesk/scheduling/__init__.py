"""Whose turn it is: the slots of each provider, and who waits for one."""
