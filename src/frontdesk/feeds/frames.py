r"""Feeds as server-sent events: each change with the cursor behind it, so that who commits both loses nothing.

retry: 2000
id: CURSOR\nevent: ready\ndata: {"cursor": CURSOR, "bootstrap": ...}       all that there was by now has been told
id: CURSOR\nevent: item\ndata: {a change, as in POST /api/sync}
event: reset\ndata: {}                                          a first sync follows, the newest first, up to `ready`
id: CURSOR\nevent: heartbeat\ndata: {"cursor": CURSOR, "bootstrap": ...}
retry: MILLISECONDS\nevent: bye\ndata: {"error": ..., "retry_after_s": ...}

`bootstrap` is its revision: who knows another one asks for that again.
"""

from __future__ import annotations

import msgspec

from frontdesk.core.errors import FrontdeskError
from frontdesk.sync.shapes import ConversationTold, FactTold, FeedbackTold, Gone, ItemTold, Page, Told, TurnTold

BEGINNING = b"retry: 2000\n\n"
"""How soon a client comes again whose connection was lost, in milliseconds."""

_encode = msgspec.json.Encoder().encode


def ready(cursor: str, revision: str) -> bytes:
    """All that there was by now has been told."""
    return _of_cursor(b"ready", cursor, revision)


def heartbeat(cursor: str, revision: str) -> bytes:
    """All is well, and nothing behind this cursor has changed."""
    return _of_cursor(b"heartbeat", cursor, revision)


def changed(page: Page) -> bytes:
    """The changes of a page, in its order."""
    events = [_changed(told, place) for told, place in zip(page.changes, page.places, strict=True)]
    return b"".join((_RESET, *events) if page.is_reset else events)


def bye(error: FrontdeskError) -> bytes:
    """The stream ends, and why; when to come again, where that is of use."""
    told = error.body()
    if error.retry_after_s is None:
        return b"event: bye\ndata: %b\n\n" % _encode(told)
    told["retry_after_s"] = error.retry_after_s
    return b"retry: %d\nevent: bye\ndata: %b\n\n" % (round(error.retry_after_s * 1000), _encode(told))


_RESET = b"event: reset\ndata: {}\n\n"


def _changed(told: Told, place: str) -> bytes:
    content = _encode(told)
    if b"\n" in content or b"\r" in content:  # blanks between what an item says, which was stored as it came
        content = content.replace(b"\n", b" ").replace(b"\r", b" ")
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (place.encode(), _name_of(told), content)


def _name_of(told: Told) -> bytes:
    match told:
        case ConversationTold():
            return b"conversation"
        case ItemTold():
            return b"item"
        case TurnTold():
            return b"turn"
        case FeedbackTold():
            return b"feedback"
        case FactTold():
            return b"fact"
        case Gone():
            return told.type.encode()


def _of_cursor(name: bytes, cursor: str, revision: str) -> bytes:
    place = cursor.encode()
    said = b'id: %b\nevent: %b\ndata: {"cursor":"%b","bootstrap":"%b"}\n\n'
    return said % (place, name, place, revision.encode())
