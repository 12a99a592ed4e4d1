"""What was used and what it cost, summed up in groups."""
