"""Rows of the ledger: what windows say, what is put aside, and how far a process has come.

All of it runs inside transactions (`Database.transact`): the functions here are parts of them, that yield
their statements and return what they found. They lock in one order everywhere, so that no two wait for
each other: holds, then windows that are not there yet, then windows, each by their keys.
"""
