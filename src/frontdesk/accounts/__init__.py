"""Who calls: secret keys, people, sessions."""
