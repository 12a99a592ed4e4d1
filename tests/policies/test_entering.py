"""Entering: what may have to wait for a place at its provider is on the disk before that."""

from __future__ import annotations

import pytest

from frontdesk.core.config import Config, Model, Provider, Slots
from frontdesk.core.errors import Conflict, FrontdeskError
from frontdesk.policies.entering import Entering
from tests.fakes import make_turn

CONFIG = Config(
    providers={"full": Provider("scripted", slots=Slots(2)), "wide": Provider("scripted")},
    models={
        "waits": Model(["wide/small", "full/large"]),
        "goes": Model(["wide/small"]),
    },
)


class Door:
    """An entrance that keeps a diary."""

    def __init__(self, refusal: FrontdeskError | None = None, *, is_entered: bool = False) -> None:
        self.refusal = refusal
        self.is_entered = is_entered
        self.is_dispatched = False
        self.entered = 0

    def enter(self, most_tokens: int | None = None):
        raise AssertionError("it enters by itself")

    def has_entered(self) -> None:
        raise AssertionError("it knows by itself")

    def may_have_entered(self) -> None:
        raise AssertionError("it knows by itself")

    async def enter_alone(self) -> None:
        self.entered += 1
        if self.refusal is not None:
            raise self.refusal
        self.is_entered = True

    async def dispatch(self) -> None:
        raise AssertionError("no provider is asked here")


async def test_a_turn_that_may_have_to_wait_enters_first() -> None:
    turn, door = make_turn(model="waits"), Door()
    turn.entrance = door

    waiting = Entering(CONFIG).admit(turn)
    assert waiting is not None
    await waiting

    assert (door.entered, door.is_entered) == (1, True)
    assert Entering(CONFIG).admit(turn) is None


@pytest.mark.parametrize(("model", "door"), [("goes", Door()), ("waits", Door(is_entered=True)), ("waits", None)])
def test_others_wait_for_nothing(model: str, door: Door | None) -> None:
    turn = make_turn(model=model)
    turn.entrance = door

    assert Entering(CONFIG).admit(turn) is None
    Entering(CONFIG).settle(turn)


async def test_what_refuses_it_is_raised() -> None:
    turn, door = make_turn(model="waits"), Door(Conflict("It is locked.", code="conversation_locked"))
    turn.entrance = door

    waiting = Entering(CONFIG).admit(turn)
    assert waiting is not None
    with pytest.raises(Conflict, match="locked"):
        await waiting
