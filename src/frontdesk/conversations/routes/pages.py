"""What a request asks of a list: which page of it, in which order, and what is told besides."""

from __future__ import annotations

import typing
from collections.abc import Iterable

import msgspec
from starlette.requests import Request

from frontdesk.accounts.people import is_name
from frontdesk.conversations.service import Order
from frontdesk.core.errors import BadRequest
from frontdesk.wire.openai_responses_shapes import Includable

_DEFAULT_LIMIT = 20
_MOST_LIMIT = 100
_MAX_TOLD_CHARS = 64
_INCLUDABLE: tuple[str, ...] = typing.get_args(Includable)
# OpenAI's clients write a list as `include[]=a&include[]=b`, some others as `include=a&include=b`.
INCLUDE = ("include", "include[]")


class ItemsPage(msgspec.Struct, frozen=True):
    """Which page of items is asked for."""

    after: str
    limit: int
    order: Order


def items_page_of(request: Request, *others: str) -> ItemsPage:
    """Which page of items; `others` are parameters that the route knows besides. Raises BadRequest."""
    check_parameters(request, ("after", "limit", "order", *others))
    order = request.query_params.get("order", "desc")
    if order not in ("asc", "desc"):
        raise _wrong("order", "'order' must be 'asc' or 'desc'.")
    return ItemsPage(after_of(request), limit_of(request), order)


def check_parameters(request: Request, known: Iterable[str]) -> None:
    """Raise BadRequest for a parameter that is not known here."""
    names = list(known)
    for name in request.query_params:
        if name not in names:
            raise _wrong(
                name[:_MAX_TOLD_CHARS],
                f"Unknown parameter: {name[:_MAX_TOLD_CHARS]!r}. Known: {', '.join(names) or 'none'}.",
            )


def after_of(request: Request) -> str:
    """Behind which id; "" for the beginning. Raises BadRequest."""
    after = request.query_params.get("after", "")
    if after and not is_name(after):
        raise _wrong("after", f"'after' is {after[:_MAX_TOLD_CHARS]!r}, which is no id.")
    return after


def limit_of(request: Request) -> int:
    """How many at most. Raises BadRequest."""
    limit = request.query_params.get("limit", str(_DEFAULT_LIMIT))
    if not (limit.isascii() and limit.isdigit() and len(limit) <= 3 and 1 <= int(limit) <= _MOST_LIMIT):
        raise _wrong("limit", f"'limit' must be from 1 to {_MOST_LIMIT}.")
    return int(limit)


def include_of(request: Request) -> frozenset[str]:
    """What is told besides. Raises BadRequest."""
    asked = frozenset(value for name in INCLUDE for value in request.query_params.getlist(name))
    for value in sorted(asked):
        if value not in _INCLUDABLE:
            known = ", ".join(map(repr, _INCLUDABLE))
            raise _wrong(
                "include", f"Invalid value for 'include': {value[:_MAX_TOLD_CHARS]!r}. It must be one of {known}."
            )
    return asked


def _wrong(param: str, words: str) -> BadRequest:
    return BadRequest(words, code="invalid_value", param=param)
