"""What is counted against limits, in this process or in Valkey for many of them. Policies say what the limits are."""
