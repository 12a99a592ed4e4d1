"""How the tables came to be: Alembic's revisions, run by `migrate` in a process of its own."""
