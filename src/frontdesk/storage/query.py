"""Statements: written once with SQLAlchemy Core, compiled once per engine, run on the driver.

Compiling costs a millisecond, the driver's own execution some microseconds. So a statement is a
`Query` that lives as long as the program, and is compiled when an engine first needs it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from operator import itemgetter
from typing import Any, NamedTuple, TypeVar

import msgspec
from sqlalchemy import ClauseElement, text
from sqlalchemy.dialects.postgresql import Insert, asyncpg
from sqlalchemy.dialects.sqlite import dialect as sqlite_dialect
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.compiler import SQLCompiler

from frontdesk.storage.errors import WorkFailed

Parameters = Mapping[str, object]
# Columns have many types; whoever wrote the select knows them.
Row = tuple[Any, ...]

NOTHING: Parameters = {}

# PostgreSQL's insert knows `on_conflict_do_nothing` and `on_conflict_do_update`, in words that
# SQLite took over: it compiles for both.
insert = Insert


class Compiled(NamedTuple):
    """A statement as one engine reads it. `bind` brings parameters into the order of its marks."""

    sql: str
    bind: Callable[[Parameters], tuple[object, ...]]


class Query:
    """A statement that runs on either engine.

    Values come by name, each a `bindparam("name")` of the statement; an insert without values takes
    every column by its own name. In an update, a name must not be a column's. Lists (`in_`) are not
    supported: they would change the statement with every call.
    """

    __slots__ = ("_postgresql", "_sqlite", "statement")

    def __init__(self, statement: ClauseElement) -> None:
        self.statement = statement
        self._sqlite: Compiled | None = None
        self._postgresql: Compiled | None = None

    def for_sqlite(self) -> Compiled:
        """The statement with `?` marks."""
        if self._sqlite is None:
            self._sqlite = _compile(self.statement, sqlite_dialect(paramstyle="qmark"))
        return self._sqlite

    def for_postgresql(self) -> Compiled:
        """The statement with `$1` marks, as asyncpg reads it."""
        if self._postgresql is None:
            self._postgresql = _compile(self.statement, asyncpg.dialect())
        return self._postgresql


class Last(Query):
    """What a transaction does as its last: once, for the parameters of all steps that name it, wherever they come.

    Such a step brings no rows. `write` makes the steps that do it, and returns what is told of them once they are
    committed (`Database.heard`). Only `transact` knows it.
    """

    __slots__ = ("write",)

    def __init__(self, write: Callable[[list[Parameters]], Generator[Step, list[Row], Sequence[Any]]]) -> None:
        super().__init__(text("-- see Last"))
        self.write = write

    def for_sqlite(self) -> Compiled:
        """Raise TypeError: elsewhere than in `transact` it would be lost without a word."""
        raise TypeError("This is a step of transactions (`transact`) alone.")

    def for_postgresql(self) -> Compiled:
        """Raise TypeError, as `for_sqlite`."""
        return self.for_sqlite()


class Step(msgspec.Struct, frozen=True):
    """One statement of a write, with its values; a sequence of them runs it for each.

    Only a step with a single set of values returns rows (`RETURNING`, or a select).
    """

    query: Query
    parameters: Parameters | Sequence[Parameters] = NOTHING


T = TypeVar("T")
Work = Callable[[], Generator[Step, list[Row], T]]
"""A transaction that looks before it writes: yields steps, is sent the rows of each, returns what came of it."""


class BoundStep(NamedTuple):
    """A step as the driver takes it. `is_many`: `values` is a list of tuples, one a run."""

    sql: str
    values: Sequence[Any]
    is_many: bool


def bind_step(compiled: Compiled, parameters: Parameters | Sequence[Parameters]) -> BoundStep:
    """Bring a step's values into order. Raises KeyError, naming the value that is missing."""
    if isinstance(parameters, (dict, Mapping)):  # the former is told at once
        return BoundStep(compiled.sql, compiled.bind(parameters), is_many=False)
    return BoundStep(compiled.sql, [compiled.bind(each) for each in parameters], is_many=True)


def bind_work(
    work: Work[T], compiled: Callable[[Query], Compiled], told: list[Any]
) -> Generator[BoundStep, list[Row], T]:
    """Begin `work`, and bring the steps that it yields into the driver's order; what is `Last` behind all others.

    `told` is given what that tells. Whatever is wrong with its code comes as WorkFailed; what an engine says of a step
    is not sent there.
    """
    late: dict[Last, list[Parameters]] = {}
    try:
        result = yield from _bound(work(), compiled, late)
        for last, parameters in late.items():
            told += yield from _bound(last.write(parameters), compiled, {})
    except Exception as error:
        raise WorkFailed(f"The code of a transaction raised {type(error).__name__}.") from error
    return result


def _bound(
    steps: Generator[Step, list[Row], T], compiled: Callable[[Query], Compiled], late: dict[Last, list[Parameters]]
) -> Generator[BoundStep, list[Row], T]:
    try:
        step = next(steps)
        while True:
            query, rows = step.query, _NO_ROWS
            if type(query) is not Last:
                rows = yield bind_step(compiled(query), step.parameters)
            elif isinstance(step.parameters, Mapping):
                late.setdefault(query, []).append(step.parameters)
            else:
                late.setdefault(query, []).extend(step.parameters)
            step = steps.send(rows)
    except StopIteration as end:
        return end.value
    finally:
        steps.close()


_NO_ROWS: list[Row] = []


def _compile(statement: ClauseElement, dialect: Dialect) -> Compiled:
    compiled = statement.compile(dialect=dialect)
    if not isinstance(compiled, SQLCompiler):  # DDL has no values
        return Compiled(str(compiled), _bind_nothing)
    if compiled.post_compile_params:
        raise TypeError(f"Lists are not supported in a Query: {compiled.string}")
    names = compiled.positiontup or []
    constants = {name: bind.effective_value for name, bind in compiled.binds.items() if not bind.required}
    return Compiled(compiled.string, _binder(names, {name: constants[name] for name in names if name in constants}))


def _binder(names: Sequence[str], constants: Parameters) -> Callable[[Parameters], tuple[object, ...]]:
    if not names:
        return _bind_nothing
    if len(names) == 1:
        (name,) = names
        return lambda given: ({**constants, **given}[name],)
    pick = itemgetter(*names)
    if not constants:
        return pick
    return lambda given: pick({**constants, **given})


def _bind_nothing(_: Parameters) -> tuple[object, ...]:
    return ()
