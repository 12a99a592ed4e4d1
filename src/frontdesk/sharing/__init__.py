"""What processes that serve together share, and how they speak to each other."""
