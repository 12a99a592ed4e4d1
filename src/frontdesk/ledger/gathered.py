"""Rows of many turns, gathered by their statement: each runs once for all of its rows."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping

from frontdesk.storage.query import Parameters, Query, Row, Step


class GatheredRows:
    """Rows to be written, by statement, in the order of the statements' first use."""

    __slots__ = ("_rows",)

    def __init__(self) -> None:
        self._rows: dict[Query, list[Parameters]] = {}

    def put(self, query: Query, row: Parameters) -> None:
        """Add a row."""
        rows = self._rows.get(query)
        if rows is None:
            self._rows[query] = [row]
        else:
            rows.append(row)

    def take(self, steps: Iterable[Step]) -> None:
        """Add the rows of some steps."""
        for step in steps:
            if isinstance(step.parameters, Mapping):
                self.put(step.query, step.parameters)
            else:
                for row in step.parameters:
                    self.put(step.query, row)

    def write(self) -> Generator[Step, list[Row], None]:
        """Write them all."""
        for query, rows in self._rows.items():
            yield Step(query, rows)
