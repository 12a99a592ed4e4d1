"""Locked seals tell nothing on their way, and only those that were locked here come back as seals."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.providers.seal_box import SealBox
from frontdesk.providers.seals import sealed
from frontdesk.turn.events import Event, ReasoningEncrypted, ReasoningStarted, TextDelta
from frontdesk.turn.items import Item, Message, Prompt, Unknown

BOX = SealBox("anthropic.1:", "k-test-secret")
SEAL = sealed("anthropic.1:", {"thinking": "the instructions say"})


def locked(seal: str = SEAL, box: SealBox = BOX) -> str:
    (event,) = box.locked([ReasoningEncrypted(3, seal)])
    assert isinstance(event, ReasoningEncrypted)
    assert event.output == 3
    return event.content


def asked(seal: object) -> Prompt:
    items: list[Item] = [
        Message("user", "hi"),
        Unknown({"type": "reasoning", "id": "rs_1", "encrypted_content": seal}, "responses"),
    ]
    return Prompt(items)


def back(seal: object, box: SealBox = BOX) -> object:
    item = box.opened(asked(seal)).items[1]
    assert isinstance(item, Unknown)
    assert item.raw["id"] == "rs_1"
    return item.raw["encrypted_content"]


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_what_was_locked_comes_back_as_it_was(seal: str) -> None:
    assert back(locked(seal)) == seal


def test_a_locked_seal_tells_nothing_and_is_never_the_same() -> None:
    one, other = locked(), locked()

    assert one != other
    assert one.startswith("anthropic.1:")
    assert b"instructions" not in base64.b64decode(one.partition(":")[2])


@pytest.mark.parametrize("other", [SealBox("anthropic.1:", "k-test-other"), SealBox("gemini.1:", "k-test-secret")])
def test_a_seal_of_another_key_or_dialect_is_not_opened(other: SealBox) -> None:
    seal = locked(box=other)

    assert back(seal) in (None, seal)  # the other dialect's stays as it is: no dialect takes it for its own
    assert back(seal) != SEAL


@pytest.mark.parametrize("forged", [SEAL, "anthropic.1:", "anthropic.1:AAAA", "anthropic.1:!!", "anthropic.1:é"])
def test_a_seal_that_was_not_locked_here_is_none(forged: str) -> None:
    assert back(forged) is None


def test_a_seal_that_was_changed_is_none() -> None:
    raw = bytearray(base64.b64decode(locked().partition(":")[2]))
    raw[20] ^= 1

    assert back("anthropic.1:" + base64.b64encode(raw).decode()) is None


def test_all_else_is_left_as_it_is() -> None:
    events: list[Event] = [ReasoningStarted(0, "rs_1"), TextDelta(1, "x")]
    prompt = Prompt([Message("user", "hi"), Unknown({"type": "reasoning", "encrypted_content": 7}, "responses")])

    assert BOX.locked(events) is events
    assert BOX.opened(prompt) is prompt
    assert back("gAAAAABo8abc") == "gAAAAABo8abc"  # OpenAI's own
