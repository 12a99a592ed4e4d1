"""What can go wrong with stored rows, as one tree.

    StorageError
    ├── ConstraintViolated      a constraint said no; nothing of this write is stored
    ├── StatementFailed         the engine cannot run this statement with these values: a bug
    │   └── WorkFailed          the code of a transaction raised: a bug
    ├── AlreadyServed           another process serves from this SQLite file
    ├── MigrationFailed         the tables could not be brought to this version
    └── StorageFailed           the disk, the server or the connection failed
        ├── OutcomeUnknown      it failed while committing: the write may be stored or not
        ├── StorageBusy         it is full or locked for now; nothing of this write is stored
        └── StorageClosed       `close()` was called

Nothing here is meant for a caller's eyes. The messages hold no values of rows.
"""

from __future__ import annotations


class StorageError(Exception):
    """Something is wrong with a write or a read."""


class ConstraintViolated(StorageError):
    """A unique key, a check or a reference said no. Nothing of this write is stored."""


class StatementFailed(StorageError):
    """The engine cannot run this statement with these values. Nothing of this write is stored."""


class WorkFailed(StatementFailed):
    """The code of a transaction (`Database.transact`) raised; `__cause__` says what. Nothing of it is stored."""


class AlreadyServed(StorageError):
    """Another process serves from this SQLite file; the message names the file and the process."""


class MigrationFailed(StorageError):
    """The tables could not be brought to this version; the message says why."""


class StorageFailed(StorageError):
    """The disk, the server or the connection failed. `Database.failure` says so as well."""


class OutcomeUnknown(StorageFailed):
    """The failure struck while committing: the write may be stored, whole, or not at all."""


class StorageBusy(StorageFailed):
    """The disk is full, or another process holds the database. Nothing of this write is stored;
    a later one may be.
    """


class StorageClosed(StorageFailed):
    """The database was closed before this was asked."""
