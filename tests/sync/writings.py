"""What was written into a database, in order, taken down by the database itself: each value that a title, metadata, a
fact or a comment got, however often. So what was done twice shows, though the second time changes nothing to see.
"""

from __future__ import annotations

from typing import NamedTuple

from tests.edges.kept_serving import Rows


class Writing(NamedTuple):
    """A value that a field of a thing got."""

    person: str
    kind: str
    thing: str
    value: str | None


class _Field(NamedTuple):
    kind: str
    table: str
    key: str
    column: str
    events: tuple[str, ...]


_FIELDS = (
    # One that begins has its title set right after, and its metadata at once.
    _Field("title", "conversation", "id", "title", ("update",)),
    _Field("metadata", "conversation", "id", "metadata", ("update",)),
    _Field("fact", "fact", "id", "words", ("insert", "update")),
    _Field("feedback", "feedback", "response", "comment", ("insert", "update")),
)


async def take_down_on_sqlite(rows: Rows) -> None:
    """Take down what is written from now on."""
    await rows("CREATE TABLE writing (place INTEGER PRIMARY KEY, person TEXT, kind TEXT, thing TEXT, value TEXT)")
    for field in _FIELDS:
        for event in field.events:
            changed = f"WHEN new.{field.column} IS NOT old.{field.column}" if event == "update" else ""
            await rows(
                f"CREATE TRIGGER writes_{field.kind}_{event} AFTER {event} ON {field.table} {changed} BEGIN "
                f"INSERT INTO writing (person, kind, thing, value) "
                f"VALUES (new.person, '{field.kind}', new.{field.key}, new.{field.column}); END"
            )


async def take_down_on_postgresql(rows: Rows) -> None:
    """The same on PostgreSQL."""
    await rows("CREATE TABLE writing (place bigserial PRIMARY KEY, person text, kind text, thing text, value text)")
    await rows(
        "CREATE FUNCTION write_down() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "INSERT INTO writing (person, kind, thing, value) "
        "VALUES (new.person, TG_ARGV[0], to_jsonb(new) ->> TG_ARGV[1], to_jsonb(new) ->> TG_ARGV[2]); "
        "RETURN NULL; END $$"
    )
    for field in _FIELDS:
        for event in field.events:
            changed = f"WHEN (new.{field.column} IS DISTINCT FROM old.{field.column})" if event == "update" else ""
            await rows(
                f"CREATE TRIGGER writes_{field.kind}_{event} AFTER {event} ON {field.table} FOR EACH ROW {changed} "
                f"EXECUTE FUNCTION write_down('{field.kind}', '{field.key}', '{field.column}')"
            )


async def writings(rows: Rows, person: str) -> list[Writing]:
    """What of a person's was written, in order."""
    written = [Writing(*row) for row in await rows("SELECT person, kind, thing, value FROM writing ORDER BY place")]
    return [each for each in written if each.person == person]
