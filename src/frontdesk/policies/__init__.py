"""Rules about who may do what and how often, a file each. Their order is the list in `app`."""
