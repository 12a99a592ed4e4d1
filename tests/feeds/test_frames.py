"""Feeds as server-sent events: whatever is said, an event is one event, and its cursor is the one behind it."""

from __future__ import annotations

import json

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.core.errors import Unauthenticated, Unavailable
from frontdesk.feeds import frames
from frontdesk.sync.shapes import (
    ConversationTold,
    FactTold,
    FeedbackTold,
    Gone,
    ItemTold,
    Page,
    Told,
    TurnTold,
)

ALL: list[Told] = [
    ConversationTold(id="conv_1", branch=0, version=1, created_at=1, changed_at=2),
    ItemTold(conversation="conv_1", id="msg_1", branch=0, position=0, created_at=1, item=msgspec.Raw(b'{"a":1}')),
    TurnTold(conversation="conv_1", id="resp_1", state="failed", code="provider_error"),
    FeedbackTold(response="resp_1", id="feedback_1", rating="up", created_at=1, changed_at=1),
    FactTold(id="fact_1", words="likes tea", created_at=1, changed_at=1),
    Gone(type="fact", id="fact_1", deleted=True),
]


def events_of(stream: bytes) -> list[dict[str, str]]:
    """Read a stream as browsers do (WHATWG HTML §9.2.6)."""
    events: list[dict[str, str]] = []
    event: dict[str, str] = {}
    for line in stream.decode().split("\n"):
        if line:
            name, _, value = line.partition(":")
            event[name] = value.removeprefix(" ")
        elif event:
            events.append(event)
            event = {}
    assert not event
    return events


def test_each_change_is_an_event_of_its_kind_with_the_cursor_behind_it() -> None:
    places = [f"e.{number}" for number in range(1, 7)]

    events = events_of(frames.changed(Page(cursor="e.6", changes=ALL, places=places)))

    assert [event["id"] for event in events] == places
    assert [event["event"] for event in events] == ["conversation", "item", "turn", "feedback", "fact", "fact"]
    assert [json.loads(event["data"]) for event in events] == [
        msgspec.json.decode(msgspec.json.encode(each)) for each in ALL
    ]


def test_a_first_sync_says_so_before_its_changes() -> None:
    page = Page(cursor="e.6.6", is_reset=True, changes=ALL[:1], places=["e.6.6"])

    assert [event.get("event") for event in events_of(frames.changed(page))] == ["reset", "conversation"]
    assert "id" not in events_of(frames.changed(page))[0]


def test_cursors_are_said_by_themselves_as_well() -> None:
    data = '{"cursor":"e.1","bootstrap":"r1"}'
    assert events_of(frames.ready("e.1", "r1")) == [{"id": "e.1", "event": "ready", "data": data}]
    assert events_of(frames.heartbeat("e.1", "r1")) == [{"id": "e.1", "event": "heartbeat", "data": data}]
    assert events_of(frames.BEGINNING) == [{"retry": "2000"}]


def test_the_end_says_why_and_when_to_come_again_where_that_is_of_use() -> None:
    (again,) = events_of(frames.bye(Unavailable("Restarting.", code="server_shutting_down", retry_after_s=1.5)))
    (never,) = events_of(frames.bye(Unauthenticated("Ended.", code="token_revoked")))

    assert (again["event"], again["retry"]) == ("bye", "1500")
    assert json.loads(again["data"])["retry_after_s"] == 1.5
    assert json.loads(again["data"])["error"]["code"] == "server_shutting_down"
    assert (never["event"], "retry" in never) == ("bye", False)
    assert set(json.loads(never["data"])) == {"error"}


@given(words=st.text(), space=st.sampled_from(["", "\n", "\r\n", "\r", "\n\n\n"]))
def test_no_text_breaks_its_event(words: str, space: str) -> None:
    raw = msgspec.Raw((f'{{"said":{space}' + json.dumps(words, ensure_ascii=False) + f"{space}}}").encode())
    told = ItemTold(conversation="c", id=words or "x", branch=0, position=0, created_at=1, item=raw)

    (event,) = events_of(frames.changed(Page(cursor="e.1", changes=[told], places=["e.1"])))

    assert json.loads(event["data"])["item"] == {"said": words}
    assert json.loads(event["data"])["id"] == (words or "x")
