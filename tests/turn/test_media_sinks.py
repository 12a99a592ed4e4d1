"""Sound and texts over ASGI: headers with the first bytes, and no end where an answer broke off."""

from __future__ import annotations

from typing import Any

from frontdesk.core.errors import ProviderError
from frontdesk.turn.events import AudioProduced, AudioStarted, TurnCompleted
from frontdesk.turn.media_sinks import ContentSink
from frontdesk.wire.openai_speech import SpeechSound


class Wire:
    """Keeps what was sent."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.notices: list[dict[str, object]] = []
        self.sink = ContentSink(SpeechSound(), self.send, [(b"x-request-id", b"spch_1")], self.notices)

    async def send(self, message: dict[str, Any]) -> None:
        self.sent.append(message)

    @property
    def bodies(self) -> list[tuple[bytes, bool]]:
        return [(each["body"], each.get("more_body", False)) for each in self.sent[1:]]


async def test_bytes_leave_as_they_come_behind_what_they_are() -> None:
    wire = Wire()

    await wire.sink.write([AudioStarted("audio/mpeg"), AudioProduced(b"one")])
    await wire.sink.write([AudioProduced(b"two"), TurnCompleted()])

    assert wire.sent[0] == {
        "type": "http.response.start",
        "status": 200,
        "headers": [(b"content-type", b"audio/mpeg"), (b"x-request-id", b"spch_1")],
    }
    assert wire.bodies == [(b"one", True), (b"two", False)]
    assert wire.sink.is_complete


async def test_nothing_is_sent_where_there_is_nothing_to_send() -> None:
    wire = Wire()

    await wire.sink.write([AudioStarted("audio/mpeg")])
    wire.sink.keep_alive()

    assert wire.sent == []
    assert not wire.sink.has_written


async def test_notices_are_headers() -> None:
    wire = Wire()
    wire.notices.append({"type": "frontdesk.budget"})

    await wire.sink.write([AudioStarted("audio/mpeg"), AudioProduced(b"one")])

    assert (b"frontdesk-notice", b'{"type":"frontdesk.budget"}') in wire.sent[0]["headers"]


async def test_an_error_before_the_first_byte_has_its_status() -> None:
    wire = Wire()

    await wire.sink.fail(ProviderError("x"))

    assert wire.sent[0]["status"] == 502
    assert b'"provider_error"' in wire.sent[1]["body"]
    assert wire.sink.is_complete


async def test_an_answer_that_breaks_off_has_no_end() -> None:
    """Whoever started it sees that it is not complete, and closes the connection."""
    wire = Wire()
    await wire.sink.write([AudioStarted("audio/mpeg"), AudioProduced(b"one")])

    await wire.sink.fail(ProviderError("x"))

    assert wire.bodies == [(b"one", True)]
    assert not wire.sink.is_complete


async def test_nobody_is_told_anything_after_they_left() -> None:
    wire = Wire()
    wire.sink.leave()

    await wire.sink.write([AudioStarted("audio/mpeg"), AudioProduced(b"one"), TurnCompleted()])
    await wire.sink.fail(ProviderError("x"))

    assert wire.sent == []
