"""Responses over a WebSocket: what its messages say besides the requests and the events that they hold.

Shapes: OpenAI API reference, "Responses client events" and "server events", as its Python SDK 3.54 has them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec

from frontdesk.core.errors import FrontdeskError
from frontdesk.wire.reading import Refused, names_of, refuse, view
from frontdesk.wire.refusing import told, wrong

Json = dict[str, Any]

_MOST_LANE_CHARS = 128
MOST_KEY_CHARS = 255
_encode = msgspec.json.Encoder().encode


class CreationEnvelope(msgspec.Struct):
    """What a message of type `response.create` says beside the fields of a request.

    `stream_id` names its lane. `generate` is false where only what is asked is to be got ready. `idempotency_key` is
    what the header of that name is to a POST, and no field of OpenAI's.
    """

    type: str
    stream_id: Annotated[str, msgspec.Meta(min_length=1, max_length=_MOST_LANE_CHARS)] | None = None
    generate: bool | None = None
    idempotency_key: (
        Annotated[str, msgspec.Meta(min_length=1, max_length=MOST_KEY_CHARS, pattern=r"^[\x20-\x7e]+$")] | None
    ) = None


# What says how an answer comes: by messages as it is made, and not otherwise.
CREATION_REFUSED: dict[str, Refused] = {
    "background": Refused("Send it to POST /v1/responses, and read it there.", (None, False)),
    "stream": Refused("Leave it out: over a WebSocket an answer is always a stream.", (None, True)),
}


class SteeringEnvelope(msgspec.Struct):
    """A message of type `response.steer`."""

    type: str
    previous_response_id: str
    input: str | list[Json]


class Creation(msgspec.Struct, frozen=True):
    """A message that asks for a Response. `fields` are those of a streamed POST /v1/responses."""

    fields: Json
    generates: bool = True
    key: str | None = None

    @property
    def previous(self) -> str | None:
        """The response that it goes on with, where it names one."""
        named = self.fields.get("previous_response_id")
        return named if isinstance(named, str) else None


class Steering(msgspec.Struct, frozen=True):
    """A message that would put more input into a Response under way."""

    target: str
    input: str | list[Json]


_ENVELOPE = names_of(CreationEnvelope)


def lane_of(raw: Json) -> str | None:
    """The lane that a message names. Raises BadRequest."""
    lane = raw.get("stream_id")
    if lane is None:
        return None
    if not isinstance(lane, str) or not 0 < len(lane) <= _MOST_LANE_CHARS:
        words = f"'stream_id' is {told(lane)}. It must be a text of 1 to {_MOST_LANE_CHARS} characters."
        raise wrong("stream_id", words, "invalid_value" if isinstance(lane, str) else "invalid_type")
    return lane


def read_message(raw: Json) -> Creation | Steering:
    """Read a client's message; its request is not looked at yet. Raises BadRequest naming the field."""
    kind = raw.get("type")
    if kind == "response.create":
        envelope = view(raw, CreationEnvelope)
        refuse(raw, CREATION_REFUSED)
        fields = {name: value for name, value in raw.items() if name not in _ENVELOPE}
        return Creation({**fields, "stream": True}, envelope.generate is not False, envelope.idempotency_key)
    if kind == "response.steer":
        steering = view(raw, SteeringEnvelope)
        return Steering(steering.previous_response_id, steering.input)
    if kind is None:
        words = "Missing required parameter: 'type'. Messages are of the type 'response.create'."
        raise wrong("type", words, "missing_required_parameter")
    words = f"'type' is {told(kind)}. Messages are of the type 'response.create'."
    if kind == "response.cancel":
        words += " POST /v1/responses/{id}/cancel ends a response that is being made."
    raise wrong("type", words)


def read_request(fields: Json) -> Json:
    """The request of somebody who always gets a stream, as that of a POST which asks for one. Raises BadRequest."""
    refuse(fields, {"stream": CREATION_REFUSED["stream"]})
    return {**fields, "stream": True}


# --- what is answered ------------------------------------------------------------------------------


def lane_tail(lane: str | None) -> bytes:
    """How each message of a lane ends: with its name, where it has one."""
    return b"}" if lane is None else b',"stream_id":%b}' % _encode(lane)


def error_message(error: FrontdeskError, headers: Sequence[tuple[bytes, bytes]] = ()) -> bytes:
    """Tell an error to who waits for an answer. `headers` are those that a POST would be refused with."""
    body: Json = error.body()["error"]
    said = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}
    if error.retry_after_s is not None:
        said["retry-after"] = str(max(1, int(-(-error.retry_after_s // 1))))
    if error.should_retry is not None:
        said["x-should-retry"] = "true" if error.should_retry else "false"
    if said:
        body["headers"] = said
    return _encode({"type": "error", "status": error.status, "error": body})


def notice_message(notice: Mapping[str, object]) -> bytes:
    """Tell a notice; its `type` is its own."""
    return _encode(notice)


def steering_failed(steering: Steering) -> bytes:
    """Give the input of a message back that cannot be put into a Response."""
    return _encode(
        {
            "type": "response.steer.failed",
            "sequence_number": 0,
            "steer": {"previous_response_id": steering.target, "input": steering.input},
            "error": {
                "type": "invalid_request_error",
                "code": "steering_not_supported",
                "message": "Responses cannot be steered here. Send the input with 'response.create' and "
                "'previous_response_id' when the response has ended, or cancel it before.",
            },
        }
    )
