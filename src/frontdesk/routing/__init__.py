"""Which provider answers, when, and what is done where one fails."""
