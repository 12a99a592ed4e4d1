from __future__ import annotations

import pytest

from frontdesk.storage.database import Database
from frontdesk.storage.query import Step
from tests.storage.notes import CREATE


@pytest.fixture
async def notes(database: Database) -> Database:
    """A database with the table `note`."""
    await database.write(Step(CREATE))
    return database
