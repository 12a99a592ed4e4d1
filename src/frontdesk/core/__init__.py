"""What every part may use and that does no I/O: errors, ids, clock, configuration, tasks."""
