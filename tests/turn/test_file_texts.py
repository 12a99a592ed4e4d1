"""What files say is screened where they are texts, in whatever spelling they come; all else is left as it is."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.guards.credentials import MASK, CredentialGuard
from frontdesk.turn.file_texts import screened_file
from frontdesk.turn.items import Message, Prompt, Unknown
from frontdesk.turn.outgoing import Outgoing
from tests.fakes import ListSink
from tests.turn.test_outgoing import KEY, make_turn

TEXT = f"the key is {KEY}, keep it".encode()
MASKED = f"the key is {MASK}, keep it"


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def mask(text: str) -> str:
    return text.replace(KEY, MASK)


@pytest.mark.parametrize(
    "content",
    [
        encoded(TEXT),
        f"data:text/plain;base64,{encoded(TEXT)}",
        f"data:text/csv;charset=utf-8;base64,{encoded(TEXT)}",
        f"DATA:application/json; BASE64,{encoded(TEXT).replace('=', '%3D')}",
        f"data:application/octet-stream;base64,{encoded(TEXT)}",
        "data:;base64," + encoded(b"\xef\xbb\xbf" + TEXT),
    ],
)
def test_words_in_base64_are_seen(content: str) -> None:
    head, _, body = screened_file(content, mask).rpartition(",")

    assert base64.b64decode(body).decode("utf-8-sig") == MASKED
    assert content.startswith(head)


@pytest.mark.parametrize("words", [TEXT.decode(), TEXT.decode().replace("k", "%6B")])
def test_words_in_an_address_are_seen(words: str) -> None:
    assert unquote(screened_file(f"data:text/plain,{words}", mask)) == f"data:text/plain,{MASKED}"


@pytest.mark.parametrize(
    "content",
    [
        f"data:image/png;base64,{encoded(TEXT)}",
        "data:application/pdf;base64," + encoded(b"%PDF-1.7 \xe2\xff" + TEXT),
        "data:text/plain;base64,not base64!",
        "data:text/plain;base64,",
    ],
)
def test_what_is_no_text_passes(content: str) -> None:
    assert screened_file(content, lambda text: text and "screened") == content


@given(st.text())
def test_what_no_guard_changes_stays_as_it_came(text: str) -> None:
    for content in (encoded(text.encode()), f"data:text/plain;base64,{encoded(text.encode())}"):
        assert screened_file(content, str) == content


@pytest.mark.parametrize(
    ("part", "place"),
    [
        ({"type": "file", "file": {"filename": "a.txt", "file_data": encoded(TEXT)}}, ("file", "file_data")),
        ({"type": "input_file", "file_data": f"data:text/markdown;base64,{encoded(TEXT)}"}, ("file_data",)),
        ({"type": "input_file", "file_url": f"data:text/plain;base64,{encoded(TEXT)}"}, ("file_url",)),
    ],
)
def test_files_of_a_prompt_are_screened(part: dict[str, Any], place: tuple[str, ...]) -> None:
    prompt = Prompt(items=[Message("user", [Unknown(part, "chat")])])

    screened = Outgoing(make_turn(), [CredentialGuard("mask")], ListSink(), lambda: None).screen_input(prompt)

    (item,) = screened.items  # type: ignore[union-attr]
    found: Any = item.content[0].raw  # type: ignore[union-attr, index]
    for name in place:
        found = found[name]
    assert base64.b64decode(found.rpartition(",")[2]).decode() == MASKED
