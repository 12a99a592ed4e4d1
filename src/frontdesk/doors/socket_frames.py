"""The frames of /api/socket: what a client sends, and what it is sent, each a text that holds one JSON object.

    subscribe ──► changes, and ready when all was told that there was; then changes as they come.
                  reset, where its cursor is not known any more: all there is follows
    push      ──► results; with `follow` then the events of each answer that was asked for, under its entry's id
    create    ──► event, as often as the answer has one, or error
    follow    ──► the same, from behind an event; end, where there is nothing behind it
    unfollow  ──► end, under the id of what is not told any more
    cancel    ──► response
    ping      ──► pong
    (nothing) ──► hello at first, heartbeat, bye at last

Frames that are answered have an `id` of the client's choice, and their answers have it too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from frontdesk.core.errors import BadRequest, FrontdeskError
from frontdesk.sync.shapes import MOST_ENTRIES
from frontdesk.wire.openai_responses_socket import MOST_KEY_CHARS
from frontdesk.wire.parameters import StoredId
from frontdesk.wire.reading import read_object
from frontdesk.wire.refusing import explained, told, wrong

Json = dict[str, Any]

_MAX_ID_CHARS = 64
FrameId = Annotated[str, Meta(min_length=1, max_length=_MAX_ID_CHARS)]
_encode = msgspec.json.Encoder().encode

# --- what a client sends ------------------------------------------------------------------------


class Subscribe(Struct, tag_field="type", tag="subscribe", forbid_unknown_fields=True):
    """Be told of changes: from behind a cursor, else from now on; of all that is the caller's, or of one conversation.

    A connection has one subscription; another one takes its place.
    """

    id: FrameId | None = None
    cursor: Annotated[str, Meta(max_length=200)] | None = None
    conversation: StoredId | None = None


class Push(Struct, tag_field="type", tag="push", forbid_unknown_fields=True):
    """Do what was done on a device; read entry by entry, as POST /api/sync does. With `follow` each response that came
    of an entry is followed from its beginning, as if that had been asked for under the entry's id.
    """

    id: FrameId
    entries: Annotated[list[Json], Meta(max_length=MOST_ENTRIES)]
    follow: bool = False


class Create(Struct, tag_field="type", tag="create", forbid_unknown_fields=True):
    """Ask for a response. `request` has the fields of POST /v1/responses."""

    id: FrameId
    request: Json
    idempotency_key: Annotated[str, Meta(min_length=1, max_length=MOST_KEY_CHARS, pattern=r"^[\x20-\x7e]+$")] | None = (
        None
    )


class Follow(Struct, tag_field="type", tag="follow", forbid_unknown_fields=True):
    """Be told the events of a stored response, from behind the one of this number."""

    id: FrameId
    response: StoredId
    starting_after: Annotated[int, Meta(ge=0, le=999_999_999)] | None = None


class Unfollow(Struct, tag_field="type", tag="unfollow", forbid_unknown_fields=True):
    """Be told no more of what is followed under this id; the response is made all the same."""

    id: FrameId


class Cancel(Struct, tag_field="type", tag="cancel", forbid_unknown_fields=True):
    """End a response that is being made."""

    id: FrameId
    response: StoredId


class Ping(Struct, tag_field="type", tag="ping", forbid_unknown_fields=True):
    """Ask whether anybody is there."""

    id: FrameId | None = None


Frame = Subscribe | Push | Create | Follow | Unfollow | Cancel | Ping
_SHAPES: dict[Any, type[Frame]] = {
    "subscribe": Subscribe,
    "push": Push,
    "create": Create,
    "follow": Follow,
    "unfollow": Unfollow,
    "cancel": Cancel,
    "ping": Ping,
}


def read_frame(text: str | bytes) -> Json:
    """Read the fields of a message. Raises BadRequest."""
    if isinstance(text, bytes):
        raise BadRequest("Frames are texts that hold JSON. This one was binary.", code="invalid_json")
    return read_object(text.encode())


def id_in(fields: Json) -> str | None:
    """The id of a frame that may be wrong in all else; None where it has none that could be said again."""
    said = fields.get("id")
    return said if isinstance(said, str) and 0 < len(said) <= _MAX_ID_CHARS else None


def typed(fields: Json) -> Frame:
    """A frame by its type. Raises BadRequest, which names the frame and the field: `create.request`."""
    kind = fields.get("type")
    shape = _SHAPES.get(kind) if isinstance(kind, str) else None
    if shape is None:
        known = ", ".join(_SHAPES)
        if kind is None:
            words = f"Missing required parameter: 'type', one of {known}."
            raise wrong("type", words, "missing_required_parameter")
        raise wrong("type", f"'type' is {told(kind)}. Frames are of the types {known}.")
    try:
        return msgspec.convert(fields, shape)
    except msgspec.ValidationError as error:
        raise explained(error, fields, shape, str(kind)) from None


# --- what it is sent ------------------------------------------------------------------------------


EVENT = b'{"type":"event","event":'
"""How a frame begins that holds an event of an answer; `tail` ends it."""


def tail(frame_id: str | None) -> bytes:
    """How the frames end that answer one of this id."""
    return b"}" if frame_id is None else b',"id":%b}' % _encode(frame_id)


def hello(protocol: int, revision: str, heartbeat_s: float) -> bytes:
    """The first frame: which protocol is spoken, how often a heartbeat comes, which revision the bootstrap has."""
    return _encode({"type": "hello", "protocol": protocol, "heartbeat_s": heartbeat_s, "bootstrap": revision})


def ready(cursor: str, end: bytes) -> bytes:
    """All that there was by now has been told; `end` is the `tail` of a subscription."""
    return b'{"type":"ready","cursor":%b%b' % (_encode(cursor), end)


def reset(end: bytes) -> bytes:
    """The cursor is not known any more: all there is follows, the newest first."""
    return b'{"type":"reset"%b' % end


def changes(cursor: str, told: Sequence[msgspec.Raw], end: bytes) -> bytes:
    """Some changes, each as in POST /api/sync; who has them is at this cursor."""
    return b'{"type":"changes","cursor":%b,"changes":%b%b' % (_encode(cursor), _encode(told), end)


def heartbeat(cursor: str | None, revision: str) -> bytes:
    """A sign of life, with the last cursor of who subscribed."""
    beat = {"type": "heartbeat", "bootstrap": revision}
    return _encode(beat if cursor is None else {**beat, "cursor": cursor})


def bye(error: FrontdeskError) -> bytes:
    """Nothing new is taken here any more, and why: open another connection, after so long where that is said."""
    told: Json = {"type": "bye", **error.body()}
    if error.retry_after_s is not None:
        told["retry_after_s"] = error.retry_after_s
    return _encode(told)


def results(each: Sequence[Any]) -> bytes:
    """What became of entries, in their order."""
    return _encode({"type": "results", "results": each})


def response(body: bytes) -> bytes:
    """A Response, as it is now."""
    return b'{"type":"response","response":%b}' % body


PONG = b'{"type":"pong"}'
