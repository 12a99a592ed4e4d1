"""What has changed of a person's things, in the order of the commits, for their devices."""
