"""What requests for something stored say in their query: a page of a list, a place in a stream, what else is told."""

from __future__ import annotations

import re

from starlette.requests import Request

from frontdesk.conversations.routes.pages import INCLUDE, after_of, check_parameters, include_of, limit_of
from frontdesk.core.errors import BadRequest
from frontdesk.http.requests import Head
from frontdesk.keeping.store.responses import Page

_METADATA = re.compile(r"metadata\[(.{1,64})\]", re.DOTALL)
_MOST_PAIRS = 16
_MAX_VALUE_CHARS = 512
_MAX_TOLD_CHARS = 64
_MAX_DIGITS = 9
_FLAGS = {"true": True, "false": False}


def chats_page_of(request: Request) -> Page:
    """Which page of stored chats, of which model and with which metadata; the oldest first. Raises BadRequest."""
    asked = request.query_params
    metadata: dict[str, str] = {}
    pairs = [name for name in asked if name.startswith("metadata")]
    for name in pairs:
        found = _METADATA.fullmatch(name)
        values = asked.getlist(name)
        if found is None or len(values) > 1 or len(values[0]) > _MAX_VALUE_CHARS or len(pairs) > _MOST_PAIRS:
            raise _wrong(
                "metadata",
                f"'metadata' is asked for as metadata[key]=value, {_MOST_PAIRS} times at most, with keys of up to 64 "
                f"and values of up to {_MAX_VALUE_CHARS} characters. Got {name[:_MAX_TOLD_CHARS]!r}.",
            )
        metadata[found[1]] = values[0]
    check_parameters(request, ("after", "limit", "order", "model", *pairs))
    is_ascending = is_ascending_in(request, "asc")
    return Page(after_of(request), limit_of(request) + 1, is_ascending, asked.get("model", ""), metadata)


def is_ascending_in(request: Request, usual: str) -> bool:
    """Whether a list is asked for from its beginning on; `usual` is asc or desc. Raises BadRequest."""
    order = request.query_params.get("order", usual)
    if order not in ("asc", "desc"):
        raise _wrong("order", f"'order' is {order[:_MAX_TOLD_CHARS]!r}. It must be 'asc' or 'desc'.")
    return order == "asc"


class RetrievalAsked:
    """How a response is to be told. `after` is the number of the last event that a stream's reader has.

    Raises BadRequest.
    """

    __slots__ = ("after", "include", "is_stream", "obfuscates")

    def __init__(self, request: Request) -> None:
        check_parameters(request, (*INCLUDE, "stream", "starting_after", "include_obfuscation"))
        self.include = include_of(request)
        self.is_stream = _flag(request, "stream")
        self.obfuscates = _flag(request, "include_obfuscation")
        self.after = _number("starting_after", request.query_params.get("starting_after"))
        header = Head(request.scope).last_event_id
        seen = _number("Last-Event-ID", None if header is None else header.decode("latin-1"))
        if self.after is not None and seen is not None and self.after != seen:
            raise _wrong(
                "starting_after",
                f"'starting_after' says {self.after} and the header Last-Event-ID {seen}. Send one of them.",
            )
        self.after = seen if self.after is None else self.after


def _flag(request: Request, name: str) -> bool:
    said = request.query_params.get(name, "false")
    if said not in _FLAGS:
        raise _wrong(name, f"{name!r} is {said[:_MAX_TOLD_CHARS]!r}. It must be 'true' or 'false'.")
    return _FLAGS[said]


def _number(name: str, said: str | None) -> int | None:
    if said is None:
        return None
    if not (said.isascii() and said.isdigit() and len(said) <= _MAX_DIGITS):
        raise _wrong(name, f"{name!r} is {said[:_MAX_TOLD_CHARS]!r}. It is the number of an event, from 0.")
    return int(said)


def _wrong(param: str, words: str) -> BadRequest:
    return BadRequest(words, code="invalid_value", param=param)
