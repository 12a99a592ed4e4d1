"""Rows from one value: a list, bound as one JSON text, that a statement selects from and joins.

`IN` and `VALUES` change a statement with the length of the list; this one stays the same, and is one
round trip for however many rows there are. SQLite reads the text by `json_each`, PostgreSQL by
`json_to_recordset`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from sqlalchemy import BigInteger, Boolean, Column, Double, Integer, Text, bindparam
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import TableValuedAlias
from sqlalchemy.sql.functions import FunctionElement

# What JSON and both engines write alike. Numbers keep their digits; no bytes.
_TYPES = (BigInteger, Boolean, Double, Integer, Text)


def json_rows(parameter: str, *columns: Column[Any]) -> TableValuedAlias:
    """Rows with these columns, out of the parameter of this name; the alias is called so as well.

    The parameter is what `as_json` makes: a list of objects. A key that an object lacks is null, one that is
    no column is ignored. Columns may be those of a table; a statement that locks must name what it locks:

        wanted = json_rows("wanted", window.c.scope, window.c.starts_at_ms)
        is_wanted = and_(window.c.scope == wanted.c.scope, window.c.starts_at_ms == wanted.c.starts_at_ms)
        LOCK = Query(
            select(window.c.scope, window.c.spent)
            .join_from(wanted, window, is_wanted)
            .order_by(window.c.scope, window.c.starts_at_ms)
            .with_for_update(of=window)
        )
        rows = yield Step(LOCK, {"wanted": as_json([{"scope": "app", "starts_at_ms": 0}])})

    In an update it stands in the WHERE (`UPDATE .. FROM`). An upsert `from_select` needs a WHERE in its select,
    such as `where(true())`: SQLite takes ON CONFLICT for a join's otherwise. Neither takes two rows of one key.
    """
    wrong = [column.name for column in columns if not isinstance(column.type, _TYPES)]
    if wrong or not columns:
        raise TypeError(f"JSON has no rows of {wrong or 'no columns'}.")
    own = [Column(column.name, column.type) for column in columns]
    return _JsonRows(bindparam(parameter, type_=Text), own).table_valued(*own, name=parameter)


def as_json(rows: Iterable[Mapping[str, object]]) -> str:
    """Some rows as the value of such a parameter."""
    return msgspec.json.encode(list(rows)).decode()


class _JsonRows(FunctionElement[Any]):
    """The select in parentheses that an alias names."""

    inherit_cache = False  # noqa: V107 - SQLAlchemy asks for it

    def __init__(self, value: Any, columns: list[Column[Any]]) -> None:
        super().__init__(value)
        self.columns_read = columns


@compiles(_JsonRows, "sqlite")  # noqa: V103 - kept by `compiles`
def _in_sqlite(element: _JsonRows, compiler: SQLCompiler, **words: Any) -> str:
    columns = ", ".join(
        f"json_extract(value, '$.\"{column.name}\"') AS {compiler.preparer.quote(column.name)}"
        for column in element.columns_read
    )
    return f"(SELECT {columns} FROM json_each({compiler.process(element.clauses, **words)}))"  # noqa: S608 - our own names


@compiles(_JsonRows, "postgresql")  # noqa: V103 - kept by `compiles`
def _in_postgresql(element: _JsonRows, compiler: SQLCompiler, **words: Any) -> str:
    columns = ", ".join(
        f"{compiler.preparer.quote(column.name)} {column.type.compile(compiler.dialect)}"
        for column in element.columns_read
    )
    value = compiler.process(element.clauses, **words)
    return f"(SELECT * FROM json_to_recordset(CAST({value} AS JSON)) AS given({columns}))"  # noqa: S608 - our own names
