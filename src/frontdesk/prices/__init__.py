"""What models cost: a price book of the providers' own prices, an operator's over them, and since when each held."""
