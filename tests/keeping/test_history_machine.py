"""Whatever is asked, branched and deleted, by whomever: what came before is what plain lists tell."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from frontdesk.core.errors import BadRequest
from frontdesk.keeping.rows import Status
from frontdesk.storage.database import Database
from frontdesk.turn.turn import Caller
from tests.keeping.said_before import ANN, BOB, KEY, NAMESAKE, OTHER_KEY, Shelf, message, words
from tests.machines import check_machine

CALLERS = [ANN, BOB, KEY, OTHER_KEY, NAMESAKE]
_ANY = st.integers(0, 10**6)
_CALLER = st.sampled_from(CALLERS)
_STATUS: st.SearchStrategy[Status] = st.sampled_from(["completed", "incomplete", "cancelled", "failed"])


@dataclass
class Told:
    """A response as a list knows it."""

    caller: Caller
    previous: str | None
    question: str
    answer: str
    is_stored: bool
    is_deleted: bool = False
    has_ended: bool = True


class Machine(RuleBasedStateMachine):
    """Responses of some owners, in whatever chains. One library knows what it read, another one nothing."""

    def __init__(self, loop: asyncio.AbstractEventLoop, database: Database) -> None:
        super().__init__()
        self.loop = loop
        self.shelf = Shelf(database)
        self.numbers = itertools.count()
        self.told: dict[str, Told] = {}

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    # --- what is done -----------------------------------------------------------------------

    @rule(caller=_CALLER, behind=st.none() | _ANY, status=_STATUS, is_stored=st.integers(0, 5).map(bool))
    def ask(self, caller: Caller, behind: int | None, status: Status, *, is_stored: bool) -> None:
        """Ask behind nothing, or behind anything that ever was: how the rows came to say so is not the matter here."""
        number = next(self.numbers)
        previous = None if behind is None or not self.told else self._any(behind)
        told = Told(caller, previous, f"q{number}", f"a{number}", is_stored)
        given: Any = told.question if number % 2 else [{"role": "user", "content": told.question}]
        said = message(told.answer, is_whole=status == "completed")
        self.told[
            self.run(self.shelf.ask(given, said, status, caller=caller, previous=previous, is_stored=is_stored))
        ] = told

    @rule(caller=_CALLER, behind=st.none() | _ANY)
    def begin(self, caller: Caller, behind: int | None) -> None:
        number = next(self.numbers)
        previous = None if behind is None or not self.told else self._any(behind)
        told = Told(caller, previous, f"q{number}", f"a{number}", is_stored=True, has_ended=False)
        self.told[self.run(self.shelf.begin(told.question, caller=caller, previous=previous))] = told

    @precondition(lambda self: any(not told.has_ended and not told.is_deleted for told in self.told.values()))
    @rule(which=_ANY)
    def finish(self, which: int) -> None:
        running = [each for each, told in self.told.items() if not told.has_ended and not told.is_deleted]
        response = running[which % len(running)]
        told = self.told[response]
        self.run(self.shelf.finish(response, message(told.answer), caller=told.caller))
        told.has_ended = True

    @precondition(lambda self: any(told.is_stored and not told.is_deleted for told in self.told.values()))
    @rule(which=_ANY, is_told=st.booleans())
    def delete(self, which: int, *, is_told: bool) -> None:
        there = [each for each, told in self.told.items() if told.is_stored and not told.is_deleted]
        response = there[which % len(there)]
        told = self.told[response]
        self.run(self.shelf.delete(response, told.caller))
        if is_told:
            self.shelf.library.forget(told.caller.tenant, response)
        told.is_deleted = True

    # --- what is read -----------------------------------------------------------------------

    @precondition(lambda self: self.told)
    @rule(which=_ANY, caller=_CALLER, is_owner=st.booleans())
    def read(self, which: int, caller: Caller, *, is_owner: bool) -> None:
        response = self._any(which)
        caller = self.told[response].caller if is_owner else caller
        expected = self._expected(caller, response)
        for library in (self.shelf.library, self.shelf.new_library()):
            if isinstance(expected, str):
                with pytest.raises(BadRequest) as refused:
                    self.run(library.chain(caller, response))
                assert refused.value.code == expected
                continue
            told = self.run(library.chain(caller, response))
            assert words(told) == expected
            assert [each.is_answer for each in told] == [word.startswith("a") for word in expected]
            self._look_up(library, caller, told)

    def _look_up(self, library: Any, caller: Caller, told: list[Any]) -> None:
        """Each item is found by its id as well, by its owner."""
        ids = [each.id for each in told]
        assert self.run(library.items(caller, ids)) == {each.id: each for each in told}
        for other in CALLERS:
            if other is not caller:
                assert self.run(library.items(other, ids)) == {}

    # --- the model --------------------------------------------------------------------------

    def _expected(self, caller: Caller, response: str) -> list[str] | str:
        told = self._of(caller, response)
        if told is None:
            return "previous_response_not_found"
        if not told.has_ended:
            return "previous_response_in_progress"
        said: list[str] = []
        while told is not None:
            said = [told.question, told.answer if told.has_ended else "", *said]
            told = self._of(caller, told.previous)
        return [word for word in said if word]

    def _of(self, caller: Caller, response: str | None) -> Told | None:
        told = None if response is None else self.told[response]
        return told if told and told.caller is caller and told.is_stored and not told.is_deleted else None

    def _any(self, which: int) -> str:
        ids = list(self.told)
        return ids[-1 - which % len(ids)]  # mostly the last ones, when it is made smaller


def test_on_sqlite(sqlite_url: str) -> None:
    check_machine(Machine, sqlite_url, examples=40, steps=25)


def test_on_postgresql(postgresql_url: str) -> None:
    check_machine(Machine, postgresql_url, examples=10, steps=20)
