"""What requests for something stored say: read as it is meant, or refused by its name."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from starlette.requests import Request

from frontdesk.core.errors import BadRequest
from frontdesk.doors.kept.asking import RetrievalAsked, chats_page_of
from frontdesk.keeping.store.responses import Page


def request(query: dict[str, Any] | list[tuple[str, str]], *headers: tuple[bytes, bytes]) -> Request:
    scope = {"type": "http", "method": "GET", "scheme": "http", "path": "/", "headers": list(headers)}
    return Request({**scope, "query_string": urlencode(query).encode()})


def test_nothing_said_is_the_first_page() -> None:
    assert chats_page_of(request({})) == Page("", 21, is_ascending=True)


def test_all_that_can_be_said_of_a_list() -> None:
    query = {"after": "a", "limit": "3", "order": "desc", "model": "m", "metadata[a]": "1", "metadata[b]]": ""}

    assert chats_page_of(request(query)) == Page("a", 4, is_ascending=False, model="m", metadata={"a": "1", "b]": ""})


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "101"}, "limit"),
        ({"order": "up"}, "order"),
        ({"metadata": "a"}, "metadata"),
        ({"metadata[]": "a"}, "metadata"),
        ({f"metadata[{'k' * 65}]": "a"}, "metadata"),
        ({"metadata[a]": "v" * 513}, "metadata"),
        ({f"metadata[{number}]": "" for number in range(17)}, "metadata"),
        ([("metadata[a]", "1"), ("metadata[a]", "2")], "metadata"),
        ({"before": "a"}, "before"),
        ({"after": "\0"}, "after"),
    ],
)
def test_what_a_list_cannot_be_asked_for(query: Any, param: str) -> None:
    with pytest.raises(BadRequest) as failure:
        chats_page_of(request(query))

    assert failure.value.param == param


@pytest.mark.parametrize(
    ("query", "headers", "after"),
    [
        ({}, [], None),
        ({"starting_after": "0"}, [], 0),
        ({}, [(b"last-event-id", b"17")], 17),
        ({"starting_after": "017"}, [(b"last-event-id", b"17")], 17),
    ],
)
def test_a_cursor_is_said_in_either_place(query: dict[str, str], headers: Any, after: int | None) -> None:
    assert RetrievalAsked(request(query, *headers)).after == after


@pytest.mark.parametrize(
    ("query", "headers", "param"),
    [
        ({"starting_after": "1"}, [(b"last-event-id", b"2")], "starting_after"),
        ({"starting_after": ""}, [], "starting_after"),
        ({"starting_after": "9999999999"}, [], "starting_after"),
        ({}, [(b"last-event-id", b"\xb2")], "Last-Event-ID"),
        ({}, [(b"last-event-id", b"x")], "Last-Event-ID"),
    ],
)
def test_what_is_no_cursor_is_refused(query: dict[str, str], headers: Any, param: str) -> None:
    with pytest.raises(BadRequest) as failure:
        RetrievalAsked(request(query, *headers))

    assert failure.value.param == param
