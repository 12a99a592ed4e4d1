"""Work that goes on by itself: kept with what caused it, done once, though processes die."""
