"""The routes of accounts: sessions, people, keys."""
