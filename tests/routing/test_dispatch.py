"""Before a first provider is asked it is noted that one is: once, and where that is refused nobody is asked."""

from __future__ import annotations

from typing import Any

import pytest

from frontdesk.core.errors import BadRequest, Conflict, FrontdeskError, NotFound, ProviderError, Unavailable
from frontdesk.routing.router import FallbackRouter, Route
from frontdesk.turn.events import Event
from tests.fakes import PlayedProvider, answer_events, make_turn

ANSWER = [event for batch in answer_events("x") for event in batch]


class Entrance:
    """Keeps a diary of who is asked when."""

    is_entered = True

    def __init__(self, *errors: FrontdeskError | None) -> None:
        self._errors = list(errors)
        self.is_dispatched = False
        self.dispatches = 0

    def enter(self, most_tokens: int | None = None) -> Any:
        raise AssertionError

    def has_entered(self) -> None: ...

    def may_have_entered(self) -> None: ...

    async def enter_alone(self) -> None: ...

    async def dispatch(self) -> None:
        self.dispatches += 1
        error = self._errors.pop(0) if self._errors else None
        if error is not None:
            raise error
        self.is_dispatched = True


class Slots:
    """Places of a provider, counted."""

    def __init__(self) -> None:
        self.taken = self.left = 0

    def enter(self, turn: Any) -> None:
        self.taken += 1

    def leave(self, turn: Any) -> None:
        self.left += 1

    def has_room(self, turn: Any) -> bool:
        return True


async def carry(entrance: Entrance, *routes: Route, hedge_after_s: float | None = None) -> list[Event]:
    turn = make_turn()
    turn.entrance = entrance
    pushed: list[Event] = []

    async def push(events: list[Event]) -> None:
        pushed.extend(events)

    hedges = {} if hedge_after_s is None else {"fast": hedge_after_s}
    await FallbackRouter({"fast": list(routes)}, hedge_after_s=hedges).carry(turn, push)
    return pushed


def route(provider: PlayedProvider, slots: Any = None, name: str = "p") -> Route:
    return Route(name, provider, "m", slots=slots)


async def test_it_is_noted_once_however_many_are_asked() -> None:
    entrance, slots = Entrance(), Slots()
    broken, well = PlayedProvider([ProviderError("It is away.")]), PlayedProvider([ANSWER])

    assert await carry(entrance, route(broken, slots), route(well, slots, "q")) == ANSWER

    assert (entrance.dispatches, slots.taken, slots.left) == (1, 2, 2)


@pytest.mark.parametrize("hedge_after_s", [None, 5.0])
@pytest.mark.parametrize(
    "error",
    [
        Conflict("It is locked.", code="conversation_locked"),
        Unavailable("Nothing can be stored.", code="store_unavailable"),
        NotFound("There is no such conversation."),
        BadRequest("It is full."),
    ],
)
async def test_where_it_is_refused_nobody_is_asked_and_no_place_is_held(
    error: FrontdeskError, hedge_after_s: float | None
) -> None:
    entrance, slots = Entrance(error, error, error), Slots()
    providers = [PlayedProvider([ANSWER]) for _ in range(2)]

    with pytest.raises(type(error)) as refused:
        await carry(
            entrance,
            route(providers[0], slots),
            route(providers[1], slots, "q"),
            hedge_after_s=hedge_after_s,
        )

    assert refused.value is error
    assert [each.asked for each in providers] == [[], []]
    assert slots.taken == slots.left == entrance.dispatches == 1


async def test_what_refuses_it_counts_though_another_route_had_failed_before() -> None:
    """That a provider was full is no answer to who asked the same before."""
    refusal = Conflict("It was asked before.", code="idempotency_key_in_use")
    entrance = Entrance(refusal)

    with pytest.raises(Conflict) as refused:
        await carry(entrance, _full(PlayedProvider([ANSWER])), route(PlayedProvider([ANSWER]), name="q"))

    assert refused.value is refusal


def _full(provider: PlayedProvider) -> Route:
    class Closed:
        def enter(self, turn: Any) -> None:
            raise ProviderError("It is full.")

        def leave(self, turn: Any) -> None:
            raise AssertionError("nobody came in")

    closed: Any = Closed()
    return Route("full", provider, "m", slots=closed)
