"""The providers' side: requests become a dialect's bytes, a dialect's bytes become events."""
