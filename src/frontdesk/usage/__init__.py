"""What happened: a row a turn, a row an attempt."""
