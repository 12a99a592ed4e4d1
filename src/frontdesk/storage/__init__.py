"""Where rows are kept: tables, one engine-neutral interface, SQLite and PostgreSQL behind it.

SQL lives here and in the features' `store.py`, nowhere else. A store gets a `Database` and states
what it wants as `Query` and `Step`; which engine runs it is not its concern.
"""
